"""The restrictions in force, laid out so that a decision is a few look-ups.

A scope is any set of dimensions with one value each, and holds for a request that has all of them. Scopes
of the same dimensions ("shape") share one table keyed by their values. There are few shapes however many
restrictions there are, so ten thousand of them cost a request no more than ten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

# The dimensions a scope may name. `kind` (of the stream: transactional or marketing) is never asked for;
# it is looked up, so that a brake can spare transactional mail and say so.
DIMENSIONS = ("customer", "stream", "campaign", "ip", "pool", "domain", "provider", "kind")
EFFECTS = ("hold", "slow")

Values = tuple[str | None, ...]  # one per dimension, in their order
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Restriction:
    """A suspension in force, as the gate needs it."""

    id: str
    scope: Mapping[str, str]
    effect: str  # hold | slow
    text: str
    rate_per_hour: int | None = None
    rule: str | None = None
    incident: str | None = None
    until: datetime | None = None
    lifts_when: str | None = None

    def __post_init__(self) -> None:
        if not self.scope.keys() <= set(DIMENSIONS):
            raise ValueError(f"suspension {self.id}: unknown scope {sorted(self.scope.keys() - set(DIMENSIONS))}")
        if self.effect not in EFFECTS:
            raise ValueError(f"suspension {self.id}: unknown effect {self.effect!r}")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a decision is what it is; the wire form is these fields."""

    kind: str  # suspension | standing | allowance | compliance | stale
    scope: Mapping[str, str]
    effect: str
    rule: str | None
    incident: str | None
    text: str
    until: datetime | None
    lifts_when: str | None


@dataclass(frozen=True, slots=True)
class Brake:
    """A restriction made ready: its reason already said, its end comparable."""

    hold: bool
    rate_per_hour: int | None
    ends: datetime
    reason: Reason


Key = Callable[[Values], Any]
Table = dict[Any, list[Brake]]


@dataclass(frozen=True, slots=True)
class Index:
    """Immutable. `version` is the newest transition it knows of; `built_at` when it was last known to hold.

    `tables` has one look-up per shape, `provider_tables` those of them whose shape has a provider. `partial`
    has the same scopes keyed without their provider, for requests that name none.
    """

    version: int
    built_at: datetime
    restrictions: tuple[Restriction, ...] = ()
    pools: Mapping[str, str] = field(default_factory=dict)  # ip → pool
    kinds: Mapping[tuple[str, str], str] = field(default_factory=dict)  # (customer, stream) → kind
    tables: tuple[tuple[Key, Table], ...] = ()
    provider_tables: tuple[tuple[Key, Table], ...] = ()
    partial: tuple[tuple[Key, Table], ...] = ()
    next_end: datetime = _NEVER


def build_index(
    restrictions: Iterable[Restriction],
    *,
    version: int,
    built_at: datetime,
    pools: Mapping[str, str] | None = None,
    kinds: Mapping[tuple[str, str], str] | None = None,
) -> Index:
    """Lay out the restrictions in force at `built_at`."""
    kept = tuple(held for held in restrictions if held.until is None or held.until > built_at)
    of_provider = [held for held in kept if "provider" in held.scope]
    others = [held for held in kept if "provider" not in held.scope]
    provider_tables = _tables(of_provider)
    return Index(
        version=version,
        built_at=built_at,
        restrictions=kept,
        pools=pools or {},
        kinds=kinds or {},
        tables=_tables(others) + provider_tables,
        provider_tables=provider_tables,
        partial=_tables(of_provider, without="provider"),
        next_end=min((held.until for held in kept if held.until), default=_NEVER),
    )


def _tables(restrictions: Iterable[Restriction], without: str | None = None) -> tuple[tuple[Key, Table], ...]:
    shapes: dict[tuple[int, ...], Table] = {}
    for held in restrictions:
        shape = tuple(i for i, name in enumerate(DIMENSIONS) if name in held.scope and name != without)
        key = _key_of(shape)([held.scope.get(name) for name in DIMENSIONS])
        shapes.setdefault(shape, {}).setdefault(key, []).append(_brake(held))
    return tuple((_key_of(shape), table) for shape, table in shapes.items())


def _key_of(shape: tuple[int, ...]) -> Callable[[Any], Any]:
    return itemgetter(*shape) if shape else _everything


def _everything(values: Values) -> tuple[()]:
    del values
    return ()


def _brake(held: Restriction) -> Brake:
    reason = Reason(
        kind="suspension",
        scope=dict(held.scope),
        effect=held.effect,
        rule=held.rule,
        incident=held.incident,
        text=held.text,
        until=held.until,
        lifts_when=held.lifts_when,
    )
    return Brake(held.effect == "hold", held.rate_per_hour, held.until or _NEVER, reason)
