"""What two rule files make of the same history: which episodes only one of them has, and which last longer. Pure."""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from monitor.judging.backtest import Episode, Key


class Change(enum.StrEnum):
    """What the other rules do to an episode."""

    ADDED = "added"
    GONE = "gone"
    LONGER = "longer"
    SHORTER = "shorter"


class Difference(NamedTuple):
    """`before`: the episode of the configured rules, `after`: of the others. `seconds`: how much longer it lasts (negative: shorter)."""

    change: Change
    before: Episode | None
    after: Episode | None
    seconds: float


def differences(before: Sequence[Episode], after: Sequence[Episode], end: datetime) -> Iterator[Difference]:
    """Episodes of the same rule and scope that overlap are compared; what still fires at the end is taken to end there."""
    others: dict[Key, list[Episode]] = defaultdict(list)
    for each in after:
        others[each.key].append(each)
    for each in before:
        match = next((other for other in others[each.key] if _overlap(each, other, end)), None)
        if match is None:
            yield Difference(Change.GONE, each, None, -_seconds(each, end))
            continue
        others[each.key].remove(match)
        longer = _seconds(match, end) - _seconds(each, end)
        if longer:
            yield Difference(Change.LONGER if longer > 0 else Change.SHORTER, each, match, longer)
    for rest in others.values():
        for each in rest:
            yield Difference(Change.ADDED, None, each, _seconds(each, end))


def _overlap(each: Episode, other: Episode, end: datetime) -> bool:
    return each.since <= (other.until or end) and other.since <= (each.until or end)


def _seconds(episode: Episode, end: datetime) -> float:
    return ((episode.until or end) - episode.since).total_seconds()
