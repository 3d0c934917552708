"""How late complaints come: the share of them that is reported by the age of their mail, learnt per provider.

Of mail sent three hours ago only some of the complaints are known. So mail counts as *exposed* by that share: 1,000 mails
of which a quarter of the complaints is known by now count as 250 (matured exposure). Without it the rate of recent mail
looks too low, and a short window sees next to nothing.

Learnt from complaints' own delays. What is still to come is missing among them (right truncation: of mail sent an hour
ago no complaint is older than an hour), which the product-limit estimator in reverse time sets right (D. Lynden-Bell, MNRAS
155, 1971; N. Lagakos, Biometrika 75, 1988). Until complaints have said otherwise none is taken to be late: that makes
the detectors slower, never unjust. What was known before a UTC midnight speaks for the day that begins then.

May be wrong where a provider reports in two ways of different speed, or changed its ways within the memory of four weeks.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

DAY = 86_400
MEMORY = 28 * DAY
_AT_ONCE = 12.0  # complaints reported at once that are assumed before any was seen: few do not know how late they come
# ages in seconds at which the share is estimated; what comes later than the last is not waited for
_AGES: Sequence[float] = [
    0, *(60 * minutes for minutes in (10, 30, 60, 90, 120, 180, 240, 360, 480, 720)),
    *(3600 * hours for hours in (16, 24, 36, 48, 72)),
]  # fmt: skip
LONGEST = _AGES[-1]


class ReportingLag:
    """The delays of one provider's complaints."""

    __slots__ = ("_counts", "_day", "_shares")

    def __init__(self) -> None:
        self._counts: dict[tuple[int, int], dict[int, int]] = {}  # (day known, hour sent) → place in _AGES → complaints
        self._day = -1
        self._shares: list[float] = [1.0] * len(_AGES)

    def add(self, at: float, known_at: float, count: int = 1) -> None:
        """`count` complaints of mail sent at `at` became known at `known_at`."""
        place = min(bisect_left(_AGES, max(known_at - at, 0)), len(_AGES) - 1)
        counts = self._counts.setdefault((int(known_at // DAY), int(at // 3600)), {})
        counts[place] = counts.get(place, 0) + count

    def learn(self, now: float) -> None:
        """Estimate anew, once a day, from what was known at the last midnight."""
        day = int(now // DAY)
        if day == self._day:
            return
        self._day = day
        for key in [key for key in self._counts if key[0] * DAY < now - MEMORY]:
            del self._counts[key]
        came, could = [0.0] * len(_AGES), [0.0] * len(_AGES)
        for (known_day, hour), counts in self._counts.items():
            if known_day >= day:
                continue
            # at midnight a complaint of this mail could have had at most this age
            oldest = min(bisect_right(_AGES, day * DAY - hour * 3600), len(_AGES)) - 1
            for place, count in counts.items():
                came[place] += count
                for each in range(place, max(oldest, place) + 1):
                    could[each] += count
        self._shares = _shares(came, could)

    def share(self, age: float) -> float:
        """The share of complaints that is known of mail of this age in seconds (0-1)."""
        if age >= LONGEST:
            return 1.0
        if age <= 0:
            return self._shares[0]
        place = bisect_right(_AGES, age)
        before, after = _AGES[place - 1], _AGES[place]
        low, high = self._shares[place - 1], self._shares[place]
        return low + (high - low) * (age - before) / (after - before)

    def median_hours(self) -> float | None:
        """By when half of the complaints are known; None while nothing was learnt of delays."""
        if not self._counts:
            return None
        place = next(place for place, share in enumerate(self._shares) if share >= 0.5)
        if place == 0:
            return 0.0
        low, high = self._shares[place - 1], self._shares[place]
        age = _AGES[place - 1] + (_AGES[place] - _AGES[place - 1]) * (0.5 - low) / (high - low)
        return math.floor(age / 360) / 10


def _shares(came: Sequence[float], could: Sequence[float]) -> list[float]:
    """`came`: how many had each age; `could`: how many of those no older could have been seen at that age."""
    shares = [1.0] * len(came)
    known = 1.0
    for place in range(len(came) - 1, -1, -1):
        shares[place] = known
        most = could[place] + _AT_ONCE
        known *= 1 - (came[place] + (_AT_ONCE if place == 0 else 0)) / most
    return shares
