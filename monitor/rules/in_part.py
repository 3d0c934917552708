"""Which counts are a group's, and which may be its? Pure.

A fact is known in part where it names no stream, no provider or no customer. It is certainly of every wider group that
names no more than it does ("customer acme at gmail"), and may be of every group it does not contradict. So it speaks
for the wider group, where that is judged at all, and stands against each group it may belong to before that is cleared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from monitor.rules.evidence import Counts, Values
from monitor.rules.verdict import Group

_Pattern = tuple[int, ...]  # which dimensions are known
_Sums = dict[tuple[str, ...], dict[str, float]]  # by the values of some dimensions


class Parted(NamedTuple):
    """Sums by measure: of the group for certain, and of what may be of it."""

    certain: dict[str, float]
    perhaps: dict[str, float]


class CountsInPart:
    """Counts by the values of the dimensions `by`, None where a fact does not know one."""

    def __init__(self, by: Sequence[str], counts: Counts) -> None:
        self._place = {name: place for place, name in enumerate(by)}
        self._by = tuple(by)
        self._cells: dict[_Pattern, dict[Values, Mapping[str, float]]] = {}
        for values, sums in counts.items():
            known = tuple(place for place, value in enumerate(values) if value is not None)
            self._cells.setdefault(known, {})[values] = sums
        self._summed: dict[tuple[_Pattern, _Pattern], _Sums] = {}

    def groups(self) -> list[Group]:
        """Each group that a fact names, also those that are known in part."""
        return [
            tuple((self._by[place], str(values[place])) for place in known)
            for known, cells in self._cells.items() for values in cells
        ]  # fmt: skip

    def of(self, group: Group) -> Parted:
        """The counts of one group; its dimensions are some of `by`."""
        values = {self._place[name]: value for name, value in group}
        parted = Parted({}, {})
        for known in self._cells:
            shared = tuple(place for place in known if place in values)
            sums = self._by_shared(known, shared).get(tuple(values[place] for place in shared), {})
            into = parted.certain if len(shared) == len(values) else parted.perhaps
            for measure, value in sums.items():
                into[measure] = into.get(measure, 0) + value
        return parted

    def _by_shared(self, known: _Pattern, shared: _Pattern) -> _Sums:
        """The cells that know `known`, summed by the values of the dimensions `shared`."""
        if (known, shared) not in self._summed:
            summed: _Sums = {}
            for values, sums in self._cells[known].items():
                into = summed.setdefault(tuple(str(values[place]) for place in shared), {})
                for measure, value in sums.items():
                    into[measure] = into.get(measure, 0) + value
            self._summed[known, shared] = summed
        return self._summed[known, shared]
