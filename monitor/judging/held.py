"""What automation's holds stop of the mail delivered lately, counted on from hold to hold: how much more may it hold by itself?

A held IP stops its mail only once its whole pool is held: until then the others of the pool take it over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from collectors.dimensions import Use, names
from monitor.database.tables import Suspension
from monitor.gate import Effect
from monitor.inventory.rows import pools_of_addresses
from monitor.restrictions.rows import in_force
from monitor.rules.evidence import Counts, Span

TRAFFIC_WINDOW = timedelta(hours=24)
COUNTED_BY = names(Use.SUBJECT | Use.SCOPE)  # a scope that names another would be taken to stop nothing
_LEAST_OF_PROVIDER = 0.5  # without a setting of its own


@dataclass(frozen=True, slots=True)
class Limits:
    """Automation holds at most `max_held_share` (0-1) of the measured traffic, and of each provider's `max_held_share_per_provider`
    (None: half, or more where more is allowed of all). `shadow`: it holds nothing, and what it would hold is written down.
    """

    max_held_share: float = 0.25
    max_held_share_per_provider: float | None = None
    shadow: bool = False

    @property
    def of_provider(self) -> float:
        return max(self.max_held_share, _LEAST_OF_PROVIDER) if self.max_held_share_per_provider is None else self.max_held_share_per_provider


@dataclass(slots=True)
class Traffic:
    """The mail delivered lately, counted once per pass. `counts` answers as Evidence.counts."""

    counts: Callable[[Collection[str], Sequence[str], Span], Counts]
    _held: Held | None = None

    def forget(self) -> None:
        """A new pass begins, or a hold ended."""
        self._held = None

    def held(self, session: Session, now: datetime) -> Held:
        """What automation holds of it now."""
        if self._held is None:
            counted = self.counts(("delivered",), COUNTED_BY, (now - TRAFFIC_WINDOW, now + timedelta(microseconds=1)))
            rows = [row for row in in_force(session, now) if row.rule is not None]
            self._held = Held(counted, pools_of_addresses(session), rows)
        return self._held


class Held:
    """The cells of the traffic (one for each subject), and which of them are stopped."""

    def __init__(self, counted: Counts, pools: Mapping[str, str | None], rows: Iterable[Suspension]) -> None:
        self._cells = [dict(zip(COUNTED_BY, values, strict=True)) for values in counted]
        self._counts = [counts["delivered"] for counts in counted.values()]
        self._total, self._pools = sum(self._counts), pools
        self._of_provider: defaultdict[str, float] = defaultdict(float)
        for cell, count in zip(self._cells, self._counts, strict=True):
            self._of_provider[cell["provider"] or ""] += count
        self._places: dict[tuple[str, ...], dict[tuple[str | None, ...], list[int]]] = {}
        self._stopped: set[int] = set()
        self._stopped_total = 0.0
        self._stopped_of: defaultdict[str, float] = defaultdict(float)
        self._ips: set[str] = set()
        self._free: dict[str, set[str]] = {}
        for address, pool in pools.items():
            if pool is not None:
                self._free.setdefault(pool, set()).add(address)
        for row in rows:
            self.add(row)

    def add(self, row: Suspension) -> None:
        """A hold is put on."""
        if row.effect != Effect.HOLD:
            return
        more = self._more(row.scope)
        self._stopped |= more
        for place in more:
            self._stopped_total += self._counts[place]
            self._stopped_of[self._cells[place]["provider"] or ""] += self._counts[place]
        for address in _ip_alone(row.scope):
            self._ips.add(address)
            self._free.get(self._pools.get(address) or "", set()).discard(address)

    def too_much(self, scope: Mapping[str, str], limits: Limits) -> str | None:
        """Why a hold of this scope too would be more than automation may hold by itself, in words; None where it is not.

        Of a provider it counts from the second hold on: what one customer alone has there is no sign of a fault of ours.
        """
        if not self._total:
            return None  # not measured
        more = self._more(scope)
        share = (self._stopped_total + sum(self._counts[place] for place in more)) / self._total
        if share > limits.max_held_share:
            return f"would hold {share:.0%} of the traffic; automation may hold {limits.max_held_share:.0%} by itself"
        added: defaultdict[str, float] = defaultdict(float)
        for place in more:
            added[self._cells[place]["provider"] or ""] += self._counts[place]
        for provider, count in sorted(added.items()):
            before = self._stopped_of[provider]
            share = (before + count) / self._of_provider[provider] if self._of_provider[provider] else 0.0
            if provider and before and share > limits.of_provider:
                return f"would hold {share:.0%} of the traffic to {provider}; automation may hold {limits.of_provider:.0%} of it by itself"
        return None

    def per_hour(self, scope: Mapping[str, str]) -> int | None:
        """Messages an hour that a scope had lately; None: not measured."""
        counted = sum(self._counts[place] for place in self._of(scope))
        return max(1, round(counted / (TRAFFIC_WINDOW / timedelta(hours=1)))) if counted else None

    def _more(self, scope: Mapping[str, str]) -> set[int]:
        """The cells that a hold of this scope would stop beside those that are."""
        stops = self._of(scope)
        for address in _ip_alone(scope):
            pool = self._pools.get(address)
            if pool is not None:
                stops = set()
                if not self._free.get(pool, set()) - {address}:  # the last of the pool
                    for other in self._ips | {address}:
                        if self._pools.get(other) == pool:
                            stops |= self._of({"ip": other})
        return stops - self._stopped

    def _of(self, scope: Mapping[str, str]) -> set[int]:
        names = tuple(sorted(scope))
        if not set(names) <= set(COUNTED_BY):
            return set()
        if names not in self._places:
            places: dict[tuple[str | None, ...], list[int]] = {}
            for place, cell in enumerate(self._cells):
                places.setdefault(tuple(cell[name] for name in names), []).append(place)
            self._places[names] = places
        return set(self._places[names].get(tuple(scope[name] for name in names), ()))


def _ip_alone(scope: Mapping[str, str]) -> set[str]:
    return {scope["ip"]} if set(scope) == {"ip"} else set()
