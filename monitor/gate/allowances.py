"""What may still be sent while an address or domain warms up, as senders see it, and which of it meets a request.

How many of an allowance are left is asked of the service (`POST /v1/allowances/grant`): a sender is sent only the cap and
whether anything is left at all, so that a grant somewhere is no news to everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from monitor.gate.names import OTHER
from monitor.gate.restriction import DIMENSIONS, Values

_PROVIDER = DIMENSIONS.index("provider")


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many messages in a period to a scope in canonical form; the wire form is these fields.

    `exhausted`: nothing can be granted now. `pool`: where the mail may go instead.
    """

    id: str
    scope: Mapping[str, str]
    cap: int
    exhausted: bool
    pool: str | None
    resets_at: datetime


@dataclass(frozen=True, slots=True)
class Allowances:
    """All of them, laid out by the dimensions their scopes name."""

    rows: tuple[Allowance, ...] = ()
    _tables: dict[tuple[int, ...], dict[Values, list[Allowance]]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        tables: dict[tuple[int, ...], dict[Values, list[Allowance]]] = {}
        for row in self.rows:
            shape = tuple(place for place, name in enumerate(DIMENSIONS) if name in row.scope)
            key = tuple(row.scope[DIMENSIONS[place]] for place in shape)
            tables.setdefault(shape, {}).setdefault(key, []).append(row)
        object.__setattr__(self, "_tables", tables)

    def applying(self, values: Values, *, of_others: bool) -> list[Allowance]:
        """Those that meet what `monitor.gate.matching.values_of` says is meant: of an IP first, as the service has them."""
        rows = list(self._meeting(values))
        if of_others:
            rows += [row for row in self._meeting((*values[:_PROVIDER], OTHER, *values[_PROVIDER + 1 :])) if "provider" in row.scope]
        return sorted(rows, key=lambda row: "ip" not in row.scope)

    def aside(self, values: Values) -> list[Allowance]:
        """Those that would apply if the request named their provider."""
        if values[_PROVIDER] is not None:
            return []
        named = dict(zip(DIMENSIONS, values, strict=True))
        return [row for row in self.rows if all(named[name] == value for name, value in row.scope.items() if name != "provider")
                and "provider" in row.scope]

    def _meeting(self, values: Values) -> Iterable[Allowance]:
        for shape, table in self._tables.items():
            yield from table.get(tuple(values[place] for place in shape), ())

