"""The groups that counts are summed by, each with a number that stays; and which counts are a group's, which may be its.

The sums are those of `monitor.rules.in_part`, for all groups at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.rules.evidence import Values
from monitor.rules.verdict import Group

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pattern = tuple[int, ...]  # the places of the dimensions that are known


class _Part(NamedTuple):
    """What facts that know one pattern add to the groups of another: a number for each of both, by what they share."""

    facts: Ints
    shared_by_facts: Ints
    groups: Ints
    shared_by_groups: Ints
    shared: int
    certain: bool


class Groups:
    """By these dimensions. For one thread at a time."""

    def __init__(self, by: Sequence[str]) -> None:
        self.by = tuple(by)
        self.values: list[Values] = []
        self.groups: list[Group] = []
        self._numbers: dict[Values, int] = {}
        self._parts: list[_Part] | None = None
        self._alike = True  # all know the same dimensions

    def __len__(self) -> int:
        return len(self.values)

    def number(self, values: Values) -> int:
        """Of these values; from now on."""
        number = self._numbers.get(values)
        if number is None:
            number = self._numbers[values] = len(self.values)
            self.values.append(values)
            self.groups.append(tuple((name, value) for name, value in zip(self.by, values, strict=True) if value is not None))
            self._parts = None
            self._alike = self._alike and _pattern(values) == _pattern(self.values[0])
        return number

    def of(self, group: Group) -> int | None:
        """The number of a group; None where it names other dimensions."""
        labels = dict(group)
        values = tuple(labels.get(name) for name in self.by)
        return self.number(values) if len(group) == sum(value is not None for value in values) else None

    def numbers(self, groups: Iterable[Group]) -> list[int]:
        return [number for group in groups if (number := self.of(group)) is not None]

    @property
    def all_alike(self) -> bool:
        """Whether no fact is known in part, or all are in the same: then each is its group's alone."""
        return self._alike

    def parted(self, totals: Floats) -> tuple[Floats, Floats]:
        """By group: the sum of what is its for certain, and of what may be its; `totals`: of the facts that name it."""
        if self._alike:
            return totals, np.zeros(len(totals))
        certain, perhaps = np.zeros(len(totals)), np.zeros(len(totals))
        for part in self._linked():
            shared = np.bincount(part.shared_by_facts, totals[part.facts], part.shared)
            (certain if part.certain else perhaps)[part.groups] += shared[part.shared_by_groups]
        return certain, perhaps

    def _linked(self) -> list[_Part]:
        if self._parts is None:
            members: dict[Pattern, list[int]] = {}
            for number, values in enumerate(self.values):
                members.setdefault(_pattern(values), []).append(number)
            self._parts = [self._part(of, members[of], whose, members[whose]) for of in members for whose in members]
        return self._parts

    def _part(self, of: Pattern, facts: Sequence[int], whose: Pattern, groups: Sequence[int]) -> _Part:
        shared = [place for place in of if place in whose]
        numbers: dict[Values, int] = {}

        def numbered(members: Sequence[int]) -> Ints:
            keys = (tuple(self.values[member][place] for place in shared) for member in members)
            return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)

        by_facts, by_groups = numbered(facts), numbered(groups)
        return _Part(np.array(facts), by_facts, np.array(groups), by_groups, len(numbers), len(shared) == len(whose))


def _pattern(values: Values) -> Pattern:
    return tuple(place for place, value in enumerate(values) if value is not None)
