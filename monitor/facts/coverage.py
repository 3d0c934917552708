"""Whether what should have been counted was counted: can a low number be believed?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from monitor.facts.runs import Outcome, Runs

STALE_TURNS = 3  # a source that missed so many turns is not believed to be complete
STALE_AT_LEAST = timedelta(hours=1)
_COMPLAINTS = "feedback_loop"  # the collector that brings them


def complaints_incomplete(runs: Mapping[str, Runs], intervals: Mapping[str, timedelta], now: datetime) -> str | None:
    """Why complaints cannot be believed to be complete (None: they can, or they come by other ways).

    `runs` by collector; `intervals`: how often each configured collector runs.
    """
    every = intervals.get(_COMPLAINTS)
    if every is None:
        return None
    good = runs[_COMPLAINTS].good if _COMPLAINTS in runs else None
    if good is None or good.ended_at is None:
        return "the feedback-loop mailboxes were not read yet"
    if now - good.ended_at > max(every * STALE_TURNS, STALE_AT_LEAST):
        return f"the feedback-loop mailboxes were not read since {good.ended_at:%Y-%m-%d %H:%M UTC}"
    return None if good.outcome == Outcome.OK else "some feedback-loop mailboxes could not be read"
