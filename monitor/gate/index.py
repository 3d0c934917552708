"""The restrictions in force, laid out so that a decision is a few look-ups.

A scope is any set of dimensions with one value each, and holds for a request that has all of them. Scopes
of the same dimensions ("shape") share one table keyed by their values. There are few shapes however many
restrictions there are, so ten thousand of them cost a request no more than ten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from monitor.gate.limits import Left
from monitor.gate.match import Match
from monitor.gate.names import Providers
from monitor.gate.restriction import DIMENSIONS, NEVER, Prepared, Restriction, Values, prepared

STALE_AFTER = timedelta(minutes=2)  # the index is confirmed every second or so; this old, the database is away
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
        shapes.setdefault(shape, {}).setdefault(key, []).append(prepared(row))
    return tuple((_key_of(shape), table) for shape, table in shapes.items())


def _key_of(shape: tuple[int, ...]) -> Callable[[Any], Any]:
    return itemgetter(*shape) if shape else _everything


def _everything(values: Values) -> tuple[()]:
    del values
    return ()
