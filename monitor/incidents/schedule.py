"""Hours of the week: when a maintenance window recurs. Pure.

`{"days": ["mon", "tue"], "from": "22:00", "to": "02:00", "zone": "Europe/Paris"}`: what begins on one of these days, by the
clocks of that zone; `to` before `from` is the next morning, `to` equal to `from` a whole day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = timedelta(days=1)
_KEYS = {"days", "from", "to", "zone"}


@dataclass(frozen=True, slots=True)
class Schedule:
    """`begin` and `end` are times of the clock in `zone`."""

    days: frozenset[str]
    begin: time
    end: time
    zone: str

    def holds(self, at: datetime) -> bool:
        """Whether the instant lies in it."""
        local = at.astimezone(ZoneInfo(self.zone))
        return any(self._covers(local, begins_on) for begins_on in (local, local - _DAY))

    def _covers(self, local: datetime, begins_on: datetime) -> bool:
        if DAYS[begins_on.weekday()] not in self.days:
            return False
        begin = begins_on.replace(hour=self.begin.hour, minute=self.begin.minute, second=0, microsecond=0, fold=0)
        until = begin if self.end > self.begin else begin + _DAY
        end = until.replace(hour=self.end.hour, minute=self.end.minute, fold=0)
        # clocks are changed at night: what is compared is instants
        return begin.astimezone(UTC) <= local.astimezone(UTC) < end.astimezone(UTC)

    @property
    def stored(self) -> dict[str, Any]:
        return {
            "days": [day for day in DAYS if day in self.days], "from": f"{self.begin:%H:%M}", "to": f"{self.end:%H:%M}",
            "zone": self.zone,
        }  # fmt: skip


def read_schedule(written: Mapping[str, Any]) -> Schedule:
    """The schedule in this form. Raises ValueError saying what to write."""
    if strange := set(written) - _KEYS:
        raise ValueError(f"schedule: {', '.join(sorted(map(str, strange)))} — write days, from, to and zone")
    days = written.get("days", list(DAYS))
    if not isinstance(days, list) or not days or not set(map(str, days)) <= set(DAYS):
        raise ValueError(f"schedule: days are some of {', '.join(DAYS)}")
    zone = str(written.get("zone", "UTC"))
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("schedule: zone is a name such as Europe/Paris or UTC") from None
    return Schedule(frozenset(map(str, days)), _time(written, "from"), _time(written, "to"), zone)


def _time(written: Mapping[str, Any], key: str) -> time:
    try:
        return datetime.strptime(str(written.get(key)), "%H:%M").time()  # noqa: DTZ007 - a time of the clock, without a day
    except ValueError:
        raise ValueError(f"schedule: {key} is a time such as 22:00") from None
