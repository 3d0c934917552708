"""Which day is it at a provider, and when does it end? Pure. Days are local dates; they may have 23 or 25 hours."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def day_at(now: datetime, zone: str) -> date:
    """The date in this zone."""
    return now.astimezone(ZoneInfo(zone)).date()


def begins_at(day: date, zone: str) -> datetime:
    """Local midnight as UTC; where that hour does not exist, when the clocks go on."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def ends_at(day: date, zone: str) -> datetime:
    """When the next day begins."""
    return begins_at(day + timedelta(days=1), zone)
