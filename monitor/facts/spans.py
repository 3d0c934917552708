"""Which parts of a window are summed from days and hours, and which from readings. Pure.

Whole days come from days, whole hours besides from hours, and the edges from readings. Hours at the end that are due to be
rolled up (`due`) are edges as well: just now every series has them. Those that are due further back are few (late facts);
they stay with their roll-up, and whoever sums puts them right one by one.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

Span = tuple[datetime, datetime]  # the first instant included, the last not

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Spans(NamedTuple):
    """What to sum; spans do not overlap, and none is empty. `rolled_up` is all that days and hours cover."""

    days: tuple[Span, ...]
    hours: tuple[Span, ...]
    readings: tuple[Span, ...]

    @property
    def rolled_up(self) -> Span | None:
        covered = self.days + self.hours
        return (min(span[0] for span in covered), max(span[1] for span in covered)) if covered else None


def spans(window: Span, due: Collection[datetime]) -> Spans:
    since, until = window
    first, last = _up(since, HOUR), _down(until, HOUR)
    while last > first and last - HOUR in due:
        last -= HOUR
    if last <= first:
        return Spans((), (), _not_empty((since, until)))
    first_day, last_day = _up(first, DAY), _down(last, DAY)
    if last_day <= first_day:
        first_day = last_day = last
    return Spans(
        _not_empty((first_day, last_day)),
        _not_empty((first, first_day), (last_day, last)),
        _not_empty((since, first), (last, until)),
    )


def _not_empty(*wanted: Span) -> tuple[Span, ...]:
    return tuple(span for span in wanted if span[0] < span[1])


def _down(at: datetime, unit: timedelta) -> datetime:
    at = at.astimezone(UTC)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (at - midnight) // unit * unit


def _up(at: datetime, unit: timedelta) -> datetime:
    down = _down(at, unit)
    return down if down == at else down + unit
