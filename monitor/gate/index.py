"""The restrictions in force, laid out so that a decision is a few look-ups.

A scope is any set of dimensions with one value each, and holds for a request that has all of them. Scopes
of the same dimensions ("shape") share one table keyed by their values. There are few shapes however many
restrictions there are, so ten thousand of them cost a request no more than ten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from monitor.gate.names import Providers
from monitor.gate.words import Effect, ReasonKind

if TYPE_CHECKING:
    from monitor.gate.limits import Left
    from monitor.gate.matching import Match

STALE_AFTER = timedelta(minutes=2)  # the index is confirmed every second or so; this old, the database is away
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


Key = Callable[[Values], Any]
Table = dict[Any, list[Prepared]]


@dataclass(frozen=True, slots=True)
class Index:
    """Unchanged once built, but for what it remembers. `version` is the newest change of a restriction it knows of; `built_at` when it was last known to hold.

    `tables` has one look-up per shape, `provider_tables` those of them whose shape has a provider. `partial`
    has the same scopes keyed without their provider, for requests that name none. `remembered` and `unmet` are of
    `monitor.gate.matching`. `allowances` is what warms up (`monitor.gate.limits`). From `stale_at` on the database has not answered for too long.
    """

    version: int
    built_at: datetime
    restrictions: tuple[Restriction, ...] = ()
    pools: Mapping[str, str] = field(default_factory=dict)  # ip → pool
    kinds: Mapping[tuple[str, str], str] = field(default_factory=dict)  # (customer, stream) → kind
    providers: Providers = field(default_factory=Providers)
    tables: tuple[tuple[Key, Table], ...] = ()
    provider_tables: tuple[tuple[Key, Table], ...] = ()
    partial: tuple[tuple[Key, Table], ...] = ()
    next_end: datetime = NEVER
    allowances: Mapping[tuple[str, str, str], Left] = field(default_factory=dict)
    remembered: dict[Any, Match] = field(default_factory=dict, repr=False, compare=False)
    unmet: dict[str | None, Match] = field(default_factory=dict, repr=False, compare=False)
    stale_at: datetime = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stale_at", self.built_at + STALE_AFTER)


def build_index(
    restrictions: Iterable[Restriction],
    *,
    version: int,
    built_at: datetime,
    pools: Mapping[str, str] | None = None,
    kinds: Mapping[tuple[str, str], str] | None = None,
    providers: Providers | None = None,
    allowances: Mapping[tuple[str, str, str], Left] | None = None,
) -> Index:
    """Lay out the restrictions in force at `built_at`."""
    kept = tuple(row for row in restrictions if row.until is None or row.until > built_at)
    of_provider = [row for row in kept if "provider" in row.scope]
    others = [row for row in kept if "provider" not in row.scope]
    provider_tables = _tables(of_provider)
    return Index(
        version=version,
        built_at=built_at,
        restrictions=kept,
        pools=pools or {},
        kinds=kinds or {},
        providers=providers or Providers(),
        tables=_tables(others) + provider_tables,
        provider_tables=provider_tables,
        partial=_tables(of_provider, without="provider"),
        next_end=min((row.until for row in kept if row.until), default=NEVER),
        allowances=allowances or {},
    )


def _tables(restrictions: Iterable[Restriction], without: str | None = None) -> tuple[tuple[Key, Table], ...]:
    shapes: dict[tuple[int, ...], Table] = {}
    for row in restrictions:
        shape = tuple(i for i, name in enumerate(DIMENSIONS) if name in row.scope and name != without)
        key = _key_of(shape)([row.scope.get(name) for name in DIMENSIONS])
        shapes.setdefault(shape, {}).setdefault(key, []).append(_prepared(row))
    return tuple((_key_of(shape), table) for shape, table in shapes.items())


def _key_of(shape: tuple[int, ...]) -> Callable[[Any], Any]:
    return itemgetter(*shape) if shape else _everything


def _everything(values: Values) -> tuple[()]:
    del values
    return ()


# what ends a restriction that does not say it
_LIFTS_WHEN = {
    ReasonKind.SUSPENSION: "an operator lifts it",
    ReasonKind.STANDING: "the standing changes",
    ReasonKind.ALLOWANCE: "the next period begins",
    ReasonKind.COMPLIANCE: "the requirement is met",
    ReasonKind.SUPPRESSION: "the suppression is lifted",
    ReasonKind.STALE: "the database answers again",
}


def _prepared(row: Restriction) -> Prepared:
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
