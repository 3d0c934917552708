"""How fast an operator and a resolver are asked. Pure: times are monotonic seconds, handed in.

A `Pacer` is one operator's limit, shared by whatever is asked of it: questions, test entries, repeats, texts.
A `Throttle` belongs to one resolver and learns from what stays unanswered. Losses alone do not mean a limit:
a line that loses a fifth loses it at any speed. So a resolver is slowed to the rate at which it answered; where
that does not lessen the loss, it was the line, and the resolver is asked at full speed again.
"""

from __future__ import annotations

_FEWEST = 40  # answers and losses in a span, below which nothing is concluded
_TOO_MANY_LOST = 0.2  # more than this beyond the usual loss: the resolver leaves questions out
_SLOWEST = 10.0  # questions a second
_GROWTH = 1.5  # a span without such losses makes it faster by this
_FOLLOW = 0.3  # how fast the usual loss follows what is seen
_UNLIMITED = 20_000.0


class Pacer:
    """At most one datagram each `interval_seconds`; 0: no limit."""

    __slots__ = ("interval_seconds", "next_at")

    def __init__(self, interval_seconds: float = 0.0) -> None:
        self.interval_seconds = interval_seconds
        self.next_at = 0.0

    def sent(self, now: float) -> None:
        self.next_at = now + self.interval_seconds


class Throttle:
    """The pace of one resolver. `answered` is counted by the caller; `missed` and `judge` draw the conclusions."""

    __slots__ = ("_began_at", "_ends_at", "_lost", "_shares", "_slowed_at", "_usual_loss", "answered", "next_at", "rate")

    def __init__(self) -> None:
        self.answered = 0
        self.rate = 0.0  # questions a second, 0 without a limit
        self.next_at = 0.0
        self._lost = 0
        self._began_at = self._ends_at = self._slowed_at = 0.0
        self._usual_loss = 0.0
        self._shares: list[float] = []  # the loss of each span in a row that ended in slowing down

    def sent(self, now: float) -> None:
        """Turns do not get lost while the loop is busy, up to a hundredth of a second."""
        self.next_at = max(self.next_at, now - 0.01) + 1 / self.rate

    def missed(self, sent_at: float) -> None:
        """A question stayed unanswered. One sent before the last slowing down says nothing of the pace since."""
        if sent_at >= self._slowed_at:
            self._lost += 1

    def judge(self, now: float, span_seconds: float) -> None:
        """Slower as soon as too much is lost; faster, or as before, where a span ended without that."""
        if not self._began_at:
            self._begin(now, span_seconds)
        count = self.answered + self._lost
        if count >= _FEWEST and self._lost > count * (self._usual_loss + _TOO_MANY_LOST):
            self._slow_down(self._lost / count, self.answered / max(now - self._began_at, span_seconds / 2))
            self._slowed_at = now
            self._begin(now, span_seconds)
        elif now >= self._ends_at:
            self._speed_up(self._lost / count if count >= _FEWEST else None)
            self._begin(now, span_seconds)

    def _begin(self, now: float, span_seconds: float) -> None:
        self._began_at, self._ends_at = now, now + span_seconds
        self.answered = self._lost = 0

    def _slow_down(self, share: float, answered_rate: float) -> None:
        if self._shares and share >= 0.8 * self._shares[-1]:
            self._usual_loss, self.rate, self._shares = share, 0.0, []
        else:
            self._shares.append(share)
            self.rate = max(answered_rate, _SLOWEST)

    def _speed_up(self, share: float | None) -> None:
        """`share`: what was lost; None: too little was asked to know, as at a slow pace."""
        if share is not None:
            self._usual_loss += _FOLLOW * (share - self._usual_loss)
            self._shares.clear()
        self.rate = 0.0 if self.rate * _GROWTH > _UNLIMITED else self.rate * _GROWTH
