"""Facts about a time of which nothing is kept: parked with what they said, never stored under their date.

A forged or broken date (a mail of 1970, a report that ended in 1997) would else make a partition for every month since
then, for rows that the next prune throws away. Whoever wants them counted keeps days for longer (retention.daily).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import datetime, timedelta

import orjson

from collectors.contract import Reason
from collectors.observation import Batch, Observation, Parked, Trace


def set_aside(batch: Batch, known_at: datetime, oldest: timedelta) -> Batch:
    """The batch with what is older than `oldest` parked; itself where nothing is."""
    earliest = known_at - oldest
    if all(each.at >= earliest for each in batch.observations) and all(each.at >= earliest for each in batch.traces):
        return batch
    facts: tuple[Observation | Trace, ...] = (*batch.observations, *batch.traces)
    late = [each for each in facts if each.at < earliest]
    return replace(
        batch,
        observations=tuple(each for each in batch.observations if each.at >= earliest),
        traces=tuple(each for each in batch.traces if each.at >= earliest),
        parked=(*batch.parked, _parked(late, earliest, batch.key)),
    )


def too_old(batch: Batch) -> list[str]:
    """What was set aside of a batch that was stored, in words."""
    return [each.text for each in batch.parked if each.reason == Reason.TOO_OLD]


def _parked(late: Iterable[Observation | Trace], earliest: datetime, key: str) -> Parked:
    lines = [orjson.dumps(asdict(each), default=str) for each in late]
    facts = "1 fact" if len(lines) == 1 else f"{len(lines)} facts"
    text = f"{facts} dated before {earliest:%Y-%m-%d}, of which nothing is kept any more (retention.daily)"
    return Parked(key, Reason.TOO_OLD, text, b"\n".join(lines))
