"""No more through than a rate allows, evenly: each restriction that slows has the instant from which the next may go.

The generic cell rate algorithm without a burst: a message moves the instant on by its share of an hour. Several at once move it on
by as much; they are let through together, for who asks for several cannot always take them apart.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

_MOST_KEPT = 10_000
Rates = Mapping[str, int]  # id of the restriction → messages an hour


class Pacing:
    """Not safe for several threads at once: its holder has a lock."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}

    def wait_seconds(self, rates: Rates, now: float) -> float:
        """How long until the next may go; 0: now. `now` in seconds of the monotonic clock."""
        return max((self._next.get(of, now) - now for of in rates), default=0.0)

    def take(self, rates: Rates, count: int, now: float) -> None:
        for of, rate in rates.items():
            self._next[of] = max(self._next.get(of, now), now) + count * 3600 / rate
        if len(self._next) > _MOST_KEPT:
            self._next = {of: at for of, at in self._next.items() if at > now}

    def keep_only(self, ids: Collection[str]) -> None:
        """Forget restrictions that are gone."""
        self._next = {of: at for of, at in self._next.items() if of in ids}
