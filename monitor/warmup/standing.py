"""How an IP or domain stands at a provider, and what a day does to that. Pure: one total table.

A day without sending is no day: it moves nothing, unless so many of them follow each other that the provider has forgotten
part of what it knew. A step forward wants 90 % of the cap delivered and clean signals; what is not known never moves a step
forward. Source of the ideas: SparkPost (90 % delivered, else the stage holds), SendGrid (warm again after 30 idle days),
StrongGrid (sending days). May be wrong where a provider forgets sooner than we assume.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

DELIVERED_SHARE = 0.9  # of the cap, for a step forward


class Standing(enum.StrEnum):
    """cold: begun, nothing sent yet. resting: idle for so long that it went part of the way back."""

    COLD = "cold"
    WARMING = "warming"
    WARM = "warm"
    RESTING = "resting"


class DayWas(enum.StrEnum):
    """What a day was, judged once it is over."""

    IDLE = "idle"  # nothing was sent
    FORGOTTEN = "forgotten"  # nothing was sent, again for the whole span after which a provider forgets
    BAD = "bad"  # a signal is bad, or a rule holds it
    UNKNOWN = "unknown"  # sent, and what became of it is not known well enough
    SHORT = "short"  # sent, and less than 90 % of the cap was delivered
    GOOD = "good"


class Move(enum.StrEnum):
    """What follows for the step."""

    NONE = "none"
    HOLD = "hold"
    ADVANCE = "advance"
    STEP_BACK = "step_back"
    COOL = "cool"


class Place(NamedTuple):
    """A standing, and the step of the plan (from 1); warm stands on the last."""

    standing: Standing
    step: int


_C, _WI, _WA, _R = Standing.COLD, Standing.WARMING, Standing.WARM, Standing.RESTING
_D = DayWas
TABLE: dict[tuple[Standing, DayWas], Move] = {
    (_C, _D.IDLE): Move.NONE, (_C, _D.FORGOTTEN): Move.NONE, (_C, _D.BAD): Move.HOLD,
    (_C, _D.UNKNOWN): Move.HOLD, (_C, _D.SHORT): Move.HOLD, (_C, _D.GOOD): Move.ADVANCE,
    (_WI, _D.IDLE): Move.NONE, (_WI, _D.FORGOTTEN): Move.COOL, (_WI, _D.BAD): Move.STEP_BACK,
    (_WI, _D.UNKNOWN): Move.HOLD, (_WI, _D.SHORT): Move.HOLD, (_WI, _D.GOOD): Move.ADVANCE,
    # warm has no cap: what goes wrong from then on is for the rules, which hold and slow by evidence of minutes
    (_WA, _D.IDLE): Move.NONE, (_WA, _D.FORGOTTEN): Move.COOL, (_WA, _D.BAD): Move.NONE,
    (_WA, _D.UNKNOWN): Move.NONE, (_WA, _D.SHORT): Move.NONE, (_WA, _D.GOOD): Move.NONE,
    (_R, _D.IDLE): Move.NONE, (_R, _D.FORGOTTEN): Move.COOL, (_R, _D.BAD): Move.STEP_BACK,
    (_R, _D.UNKNOWN): Move.HOLD, (_R, _D.SHORT): Move.HOLD, (_R, _D.GOOD): Move.ADVANCE,
}  # fmt: skip


def after(place: Place, day: DayWas, steps: int) -> tuple[Move, Place]:
    """Where it stands once the day is over; `steps`: how many the plan has."""
    move = TABLE[place.standing, day]
    if move is Move.ADVANCE:
        following = place.step + 1
        return move, Place(_WI, following) if following <= steps else Place(_WA, steps)
    if move is Move.STEP_BACK:
        return move, Place(_WI, max(place.step - 1, 1))
    if move is Move.COOL:
        return move, Place(_R, (place.step + 1) // 2)  # half of the way, rounded up: step 1 stays step 1
    if move is Move.HOLD:
        return move, Place(_WI, place.step)
    return move, place


def cap_of(place: Place, per_day: tuple[int, ...]) -> int | None:
    """The most messages a day; None: warm, there is no cap."""
    return None if place.standing is _WA else per_day[min(place.step, len(per_day)) - 1]
