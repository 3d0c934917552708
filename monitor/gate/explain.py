"""Why is this mail held, or why not? Every restriction in force beside the request: what of its scope the mail meets. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from monitor.gate.index import Index
from monitor.gate.limits import as_restriction
from monitor.gate.matching import values_of
from monitor.gate.names import OTHER
from monitor.gate.request import Request
from monitor.gate.restriction import DIMENSIONS, Restriction


@dataclass(frozen=True, slots=True)
class Considered:
    """A restriction in force. `meets` and `misses`: the dimensions of its scope the mail has, and has not; `ended`: by its time.

    `asks`: those the request says nothing of, so that it may apply to a part of what is meant.
    """

    restriction: Restriction
    meets: tuple[str, ...]
    misses: tuple[str, ...]
    asks: tuple[str, ...]
    ended: bool

    @property
    def applies(self) -> bool:
        return not self.misses and not self.asks and not self.ended


def explain(request: Request, index: Index, now: datetime) -> list[Considered]:
    """All that is in force, allowances that are used up among it: what applies first, then what comes nearest."""
    values, of_others = values_of(request, index)
    mail = dict(zip(DIMENSIONS, values, strict=True))
    used_up = [as_restriction(known) for known in index.allowances.values() if known.at(now) == 0]
    considered = [_considered(row, mail, now, of_others=of_others) for row in (*index.restrictions, *used_up)]
    return sorted(considered, key=lambda each: (not each.applies, len(each.misses), len(each.asks), each.restriction.id))


def _considered(row: Restriction, mail: dict[str, str | None], now: datetime, *, of_others: bool) -> Considered:
    named = [name for name in DIMENSIONS if name in row.scope]
    meets = [name for name in named if mail[name] == row.scope[name] or (of_others and name == "provider" and row.scope[name] == OTHER)]
    asks = [name for name in named if mail[name] is None]
    misses = [name for name in named if name not in meets and name not in asks]
    return Considered(row, tuple(meets), tuple(misses), tuple(asks), row.until is not None and row.until <= now)
