"""When what was read is too old to be believed: one limit for each measure and one for each collector's runs, and one meaning.

Something is stale once its newest reading is older than its limit: that of the measure's row (`max_age`), or for what a
collector brings at each of its turns a few of them. Rules, the console and whoever believes a low number all ask here.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from collectors.measures import MEASURES

TURNS = 3  # a collector that missed so many of its turns is stale …
AT_LEAST = timedelta(minutes=15)  # … but a late start is none


def measure_limit(measure: str) -> timedelta:
    """How long a state or gauge is believed."""
    return MEASURES[measure].max_age


def runs_limit(every: timedelta) -> timedelta:
    """How long a collector with this rhythm may go without answers."""
    return max(every * TURNS, AT_LEAST)


def is_stale(newest_at: datetime, now: datetime, limit: timedelta) -> bool:
    return now - newest_at > limit
