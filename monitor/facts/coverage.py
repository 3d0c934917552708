"""Whether what should have been counted was counted: can a low number be believed?"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import collectors
from collectors.freshness import is_stale, runs_limit
from monitor.facts.runs import Outcome, Runs


def feeds(names: Collection[str]) -> dict[str, frozenset[str]]:
    """Collector → the measures that are too low while it fails, of those named that are installed."""
    known = collectors.discover()
    return {name: getattr(known[name], "feeds", known[name].measures) for name in names if name in known}


def incomplete(
    feeders: Collection[str], runs: Mapping[str, Runs], intervals: Mapping[str, timedelta], now: datetime
) -> str | None:
    """Why what these collectors bring cannot be believed to be complete (None: it can, or comes by other ways).

    `runs` by collector; `intervals`: how often each configured collector runs.
    """
    for name in feeders:
        good = runs[name].good if name in runs else None
        if good is None or good.ended_at is None:
            return f"collector {name} has brought nothing yet"
        if is_stale(good.ended_at, now, runs_limit(intervals[name])):
            return f"collector {name} brought nothing since {good.ended_at:%Y-%m-%d %H:%M UTC}"
        if good.outcome != Outcome.OK:
            return f"collector {name} could not read all of its sources"
    return None
