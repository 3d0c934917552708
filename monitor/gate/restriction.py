"""What a restriction is, and the reason it gives: the shapes that everything else of the gate is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from monitor.gate.words import Effect, ReasonKind

# The dimensions a scope may name. `kind` (of the stream: transactional or marketing) is never named in a request;
# it is looked up, so that a restriction can spare transactional mail and say so.
DIMENSIONS = ("customer", "stream", "campaign", "ip", "pool", "domain", "provider", "kind")

Values = tuple[str | None, ...]  # one per dimension, in their order
NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Restriction:
    """A restriction in force, its scope in canonical form. Raises ValueError for a scope, kind or effect nobody knows.

    `connections`: how many at once a slow one allows. `probe`: of a hold, the share (0-1) of its messages that is let through, to
    be judged by. `lifts_when`: in words for people; without them, that of its kind.
    """

    id: str
    scope: Mapping[str, str]
    effect: Effect
    text: str
    rate_per_hour: int | None = None
    probe: float | None = None
    rule: str | None = None
    incident: str | None = None
    until: datetime | None = None
    lifts_when: str | None = None
    kind: ReasonKind = ReasonKind.SUSPENSION
    connections: int | None = None

    def __post_init__(self) -> None:
        if not self.scope.keys() <= set(DIMENSIONS):
            raise ValueError(f"{self.kind} {self.id}: unknown scope {sorted(self.scope.keys() - set(DIMENSIONS))}")
        try:
            object.__setattr__(self, "effect", Effect(self.effect))
        except ValueError:
            raise ValueError(f"{self.kind} {self.id}: unknown effect {self.effect!r}") from None
        try:
            object.__setattr__(self, "kind", ReasonKind(self.kind))
        except ValueError:
            raise ValueError(f"{self.id}: unknown kind {self.kind!r}") from None
        if self.probe is not None and not (self.effect is Effect.HOLD and 0 < self.probe < 1):
            raise ValueError(f"{self.kind} {self.id}: probe is a share between 0 and 1, and goes with hold")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a decision is what it is; the wire form is these fields."""

    kind: ReasonKind
    scope: Mapping[str, str]
    effect: str  # what of `Decided` it comes to by itself
    rule: str | None
    incident: str | None
    text: str
    until: datetime | None
    lifts_when: str | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A restriction made ready to be looked up: its reason built, its end comparable. `probe`: 0 where none is let through."""

    hold: bool
    probe: float
    rate_per_hour: int | None
    connections: int | None
    ends: datetime
    reason: Reason
    id: str


# what ends a restriction that does not say it
_LIFTS_WHEN = {
    ReasonKind.SUSPENSION: "an operator lifts it",
    ReasonKind.STANDING: "the standing changes",
    ReasonKind.ALLOWANCE: "the next period begins",
    ReasonKind.COMPLIANCE: "the requirement is met",
    ReasonKind.SUPPRESSION: "the suppression is lifted",
    ReasonKind.STALE: "the database answers again",
}


def prepared(row: Restriction) -> Prepared:
    """A restriction made ready to be looked up."""
    through = "" if row.probe is None else f"; {100 * row.probe:.3g} % of its messages are let through, to be judged by"
    reason = Reason(
        kind=row.kind,
        scope=dict(row.scope),
        effect=row.effect,
        rule=row.rule,
        incident=row.incident,
        text=row.text + through,
        until=row.until,
        lifts_when=row.lifts_when or ("its time is over" if row.until else _LIFTS_WHEN[row.kind]),
    )
    return Prepared(
        row.effect is Effect.HOLD, row.probe or 0.0, row.rate_per_hour, row.connections, row.until or NEVER, reason, row.id
    )
