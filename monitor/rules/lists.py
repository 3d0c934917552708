"""What rules, pages and answers must know of a DNS list: looked up by its id when it is needed, never kept in a row.

So a catalogue that is put right is right at once, for what was answered before too.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from collectors.details import ListAnswer, ListKind, ListSeverity

_GRAVITY = {
    ListSeverity.CRITICAL: 1.0, ListSeverity.HIGH: 0.8, ListSeverity.MEDIUM: 0.5, ListSeverity.LOW: 0.25,
}  # fmt: skip
GRAVE = 0.3  # weight times gravity, from which a listing is more than information


class Phase(enum.StrEnum):
    """How a target stands on a list (monitor.listings.intervals)."""

    SUSPECTED = "suspected"
    LISTED = "listed"
    CLEARING = "clearing"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class KnownList:
    """A list as the catalogue has it. One it does not have is a block list that is called by its id.

    `isps`: who is known to act upon it. `collateral`: it lists the neighbours of the guilty. `included_in`: the list that
    says all it says. `sells_removal`: its operator takes money for delisting.
    """

    id: str
    name: str = ""
    operator: str | None = None
    kind: ListKind = ListKind.BLOCK
    isps: tuple[str, ...] = ()
    collateral: bool = False
    included_in: str | None = None
    sells_removal: bool = False
    delist_url: Callable[[str], str | None] = field(default=lambda _target: None, compare=False)

    @property
    def title(self) -> str:
        """What people call it."""
        return self.name or self.id


@dataclass(frozen=True, slots=True)
class KnownLists:
    """The lists in use by id."""

    lists: Mapping[str, KnownList] = field(default_factory=dict)

    def of(self, dnsbl: str) -> KnownList:
        return self.lists.get(dnsbl) or KnownList(dnsbl)

    def ids(self, kind: ListKind) -> frozenset[str]:
        return frozenset(each.id for each in self.lists.values() if each.kind is kind)


def gravity(answer: ListAnswer) -> float:
    """How bad a listing is by itself (0-1): how much the list counts, times how grave its code is."""
    return answer.weight * _GRAVITY.get(answer.severity, 0.0)


def is_grave(answer: ListAnswer, known: KnownList) -> bool:
    """Whether a listing is more than information by itself."""
    return answer.finding and not known.collateral and known.kind is ListKind.BLOCK and gravity(answer) >= GRAVE
