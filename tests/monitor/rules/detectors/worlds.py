"""Streams with a known truth: how many mails, at what rate, how clustered, how late. Seeded."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SLOT = 600  # seconds
DAY = 86_400
_SLOTS = DAY // SLOT
_MEDIAN_LAG, _LAG_SPREAD, _LONGEST_LAG = math.log(4 * 3600), 1.3, 3 * DAY


@dataclass(frozen=True, slots=True)
class Stream:
    """`mean(at)`: the mean rate of campaigns that begin at an instant. `burst`: one mailing a day within two hours, else two campaigns of
    twelve hours. `lag`: complaints come late, with a median of four hours, up to three days.
    """

    a_day: float
    correlation: float
    mean: Callable[[float], float]
    burst: bool = False
    lag: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """Ten minutes: what the sender wants to send of one campaign, and the campaign's true rate."""

    at: float
    campaign: str
    count: int
    rate: float


def slots(stream: Stream, rng: random.Random, days: int) -> Iterator[Slot]:
    left, before, rate = 0.0, None, 0.0
    for number in range(days * _SLOTS):
        day, place = divmod(number, _SLOTS)
        if stream.burst:
            name, wanted = f"{day}", stream.a_day / 12 if 54 <= place < 66 else 0.0
        else:
            name, wanted = f"{day}{'am' if place < _SLOTS // 2 else 'pm'}", stream.a_day / _SLOTS
        mean = stream.mean(number * SLOT)
        if (name, mean) != before:
            before, rate = (name, mean), _drawn(mean, stream.correlation, rng)
        left += wanted
        count, left = int(left), left - int(left)
        yield Slot(number * SLOT, name, count, rate)


def _drawn(mean: float, correlation: float, rng: random.Random) -> float:
    if not correlation:
        return mean
    size = 1 / correlation - 1
    return rng.betavariate(mean * size, (1 - mean) * size)


class Complaints:
    """Complaints on their way: of mail that was sent, known when they are due."""

    def __init__(self, rng: random.Random, *, lag: bool) -> None:
        self._rng, self._lag = rng, lag
        self._due: list[tuple[float, float, str]] = []

    def sent(self, at: float, campaign: str, count: int, rate: float) -> None:
        for _ in range(binomial(count, rate, self._rng)):
            delay = min(self._rng.lognormvariate(_MEDIAN_LAG, _LAG_SPREAD), _LONGEST_LAG) if self._lag else 0.0
            heapq.heappush(self._due, (at + delay, at, campaign))

    def known(self, now: float) -> Iterator[tuple[float, float, str]]:
        """(known at, sent at, campaign), in this order."""
        while self._due and self._due[0][0] <= now:
            yield heapq.heappop(self._due)


def binomial(count: int, rate: float, rng: random.Random) -> int:
    """By the gaps between successes: as many steps as there are."""
    if count <= 0 or rate <= 0:
        return 0
    successes, place, log = 0, 0, math.log1p(-rate)
    while True:
        place += int(math.log(1 - rng.random()) / log) + 1
        if place > count:
            return successes
        successes += 1
