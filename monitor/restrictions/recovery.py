"""How a scope that was held comes back: normal → slowed → held → probing → ramping → normal, as one total table. Pure.

What is bad is answered at once, what is good only after the shortest time at a step (`due`). Nothing heard moves nothing, with
one exception: a hold whose time is over lets a little through, for mail that nobody receives nobody can judge. From a probe
or a step on it takes evidence. A relapse is held longer, and comes back from a share of the last rate that did no harm.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from monitor.rules.ladders import Ladder


class Stage(enum.StrEnum):
    """Where a scope is on its way back."""

    NORMAL = "normal"
    SLOWED = "slowed"
    HELD = "held"
    PROBING = "probing"
    RAMPING = "ramping"


class Heard(enum.StrEnum):
    """What the evidence since the step began comes to. `restored`: good, and the next step is all there was before."""

    NOTHING = "nothing"
    SLOW = "slow"  # the rule wants it slowed
    HOLD = "hold"  # the rule wants it held
    GOOD = "good"
    RESTORED = "restored"


_NORMAL, _SLOWED, _HELD, _PROBING, _RAMPING = Stage
# (stage, heard) → where it is next: before the shortest time at the step is over, and after
TABLE: Mapping[tuple[Stage, Heard], tuple[Stage, Stage]] = {
    (_NORMAL, Heard.NOTHING): (_NORMAL, _NORMAL),
    (_NORMAL, Heard.SLOW): (_SLOWED, _SLOWED),
    (_NORMAL, Heard.HOLD): (_HELD, _HELD),
    (_NORMAL, Heard.GOOD): (_NORMAL, _NORMAL),
    (_NORMAL, Heard.RESTORED): (_NORMAL, _NORMAL),
    (_SLOWED, Heard.NOTHING): (_SLOWED, _SLOWED),
    (_SLOWED, Heard.SLOW): (_SLOWED, _SLOWED),
    (_SLOWED, Heard.HOLD): (_HELD, _HELD),
    (_SLOWED, Heard.GOOD): (_SLOWED, _RAMPING),
    (_SLOWED, Heard.RESTORED): (_SLOWED, _NORMAL),
    (_HELD, Heard.NOTHING): (_HELD, _PROBING),
    (_HELD, Heard.SLOW): (_HELD, _HELD),  # of what came late: it is no better, so it waits on
    (_HELD, Heard.HOLD): (_HELD, _HELD),
    (_HELD, Heard.GOOD): (_HELD, _PROBING),
    (_HELD, Heard.RESTORED): (_HELD, _PROBING),
    (_PROBING, Heard.NOTHING): (_PROBING, _PROBING),
    (_PROBING, Heard.SLOW): (_HELD, _HELD),
    (_PROBING, Heard.HOLD): (_HELD, _HELD),
    (_PROBING, Heard.GOOD): (_PROBING, _RAMPING),
    (_PROBING, Heard.RESTORED): (_PROBING, _NORMAL),
    (_RAMPING, Heard.NOTHING): (_RAMPING, _RAMPING),
    (_RAMPING, Heard.SLOW): (_SLOWED, _SLOWED),
    (_RAMPING, Heard.HOLD): (_HELD, _HELD),
    (_RAMPING, Heard.GOOD): (_RAMPING, _RAMPING),
    (_RAMPING, Heard.RESTORED): (_RAMPING, _NORMAL),
}


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a scope is. `usual`: messages an hour before (None: not measured); `good`: the last rate that did no harm;
    `rate` and `connections`: what is allowed now (None: not limited by it, or held).
    """

    stage: Stage
    since: datetime
    first_hold: timedelta
    usual: int | None = None
    good: int | None = None
    rate: int | None = None
    connections: int | None = None
    relapses: int = 0


def is_due(progress: Progress, ladder: Ladder, now: datetime) -> bool:
    """Whether the shortest time at this step is over."""
    held = progress.stage is Stage.HELD
    shortest = ladder.held_for(progress.first_hold, progress.relapses) if held else ladder.dwell
    return now - progress.since >= shortest


def is_last(progress: Progress, ladder: Ladder) -> bool:
    """Whether the next step would be all there was before."""
    usual = progress.usual or ladder.unknown_per_hour
    return progress.rate is not None and progress.rate + ladder.step.of(usual) >= usual


def step(progress: Progress, heard: Heard, now: datetime, ladder: Ladder) -> Progress:
    """Where it is now. The same object where nothing changes."""
    due = is_due(progress, ladder, now)
    stage = TABLE[progress.stage, heard][due]
    goes_up = stage is progress.stage is Stage.RAMPING and due and heard is Heard.GOOD
    if stage is progress.stage and not goes_up:
        return progress
    usual = progress.usual or ladder.unknown_per_hour
    if stage is Stage.NORMAL:
        return replace(progress, stage=stage, since=now, rate=None, connections=None)
    if stage is Stage.HELD:
        relapses = progress.relapses + (progress.stage in {Stage.PROBING, Stage.RAMPING})
        return replace(progress, stage=stage, since=now, rate=None, connections=None, relapses=relapses)
    if stage is Stage.SLOWED:
        rate = max(1, round((progress.good or progress.rate or usual) * ladder.restart))
        return replace(progress, stage=stage, since=now, rate=rate, connections=None, relapses=progress.relapses + 1)
    if stage is Stage.PROBING:
        return replace(progress, stage=stage, since=now, rate=ladder.probe.of(usual), connections=ladder.probe.connections)
    return _up(progress, now, ladder, usual)


def _up(progress: Progress, now: datetime, ladder: Ladder, usual: int) -> Progress:
    """One step more than what did no harm; after a relapse not less than a share of what once did none."""
    shown = progress.rate or ladder.probe.of(usual)
    known = round((progress.good or 0) * ladder.restart) if progress.stage is Stage.PROBING else 0
    more = ladder.step.connections
    connections = (progress.connections or 0) + more if more is not None else None
    return replace(
        progress, stage=Stage.RAMPING, since=now, good=max(shown, known), rate=max(shown, known) + ladder.step.of(usual),
        connections=connections,
    )
