"""ok → pending → firing → recovering → ok: how verdicts become the history of one incident. Pure and total.

  state       breach                  between      clear                     unknown, unevaluated
  ok          pending (firing: for=0) ok           ok                        ok
  pending     pending → firing        ok           ok                        pending, timer frozen
  firing      firing                  firing       recovering (ok: keep=0)   firing, timer frozen
  recovering  firing                  recovering*  recovering → ok           recovering, timer frozen

* What is no breach does not fire again; the time it was clear begins anew.

Only time seen to be in breach (or clear) counts against `for` (or `keep`): a gap between two verdicts longer
than `longest_gap`, as after a restart, counts nothing, and so does time that ends or begins in unknown.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from monitor.rules.verdict import Answer


class State(enum.StrEnum):
    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an incident stands. `elapsed` is what the timer of this state has counted so far;
    `counted_until` is when it last counted, None while it is frozen.
    """

    state: State = State.OK
    elapsed: timedelta = timedelta(0)
    counted_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """A rule's timers."""

    for_: timedelta
    keep: timedelta
    longest_gap: timedelta = timedelta(minutes=3)


# (state, answer) → the state whose timer runs now; a timer that is through moves on in `step`
_NEXT: dict[tuple[State, Answer], State] = {
    (State.OK, Answer.BREACH): State.PENDING,
    (State.OK, Answer.BETWEEN): State.OK,
    (State.OK, Answer.CLEAR): State.OK,
    (State.OK, Answer.UNKNOWN): State.OK,
    (State.OK, Answer.UNEVALUATED): State.OK,
    (State.PENDING, Answer.BREACH): State.PENDING,
    (State.PENDING, Answer.BETWEEN): State.OK,
    (State.PENDING, Answer.CLEAR): State.OK,
    (State.PENDING, Answer.UNKNOWN): State.PENDING,
    (State.PENDING, Answer.UNEVALUATED): State.PENDING,
    (State.FIRING, Answer.BREACH): State.FIRING,
    (State.FIRING, Answer.BETWEEN): State.FIRING,
    (State.FIRING, Answer.CLEAR): State.RECOVERING,
    (State.FIRING, Answer.UNKNOWN): State.FIRING,
    (State.FIRING, Answer.UNEVALUATED): State.FIRING,
    (State.RECOVERING, Answer.BREACH): State.FIRING,
    (State.RECOVERING, Answer.BETWEEN): State.RECOVERING,
    (State.RECOVERING, Answer.CLEAR): State.RECOVERING,
    (State.RECOVERING, Answer.UNKNOWN): State.RECOVERING,
    (State.RECOVERING, Answer.UNEVALUATED): State.RECOVERING,
}


_TIMED = frozenset({State.PENDING, State.RECOVERING})


def step(progress: Progress, answer: Answer, now: datetime, timing: Timing) -> Progress:
    """Where the incident stands after one more verdict."""
    state = _NEXT[progress.state, answer]
    if state is not progress.state:
        return _arrived(Progress(state, timedelta(0), now), timing)
    if state not in _TIMED:
        return progress
    if answer in {Answer.UNKNOWN, Answer.UNEVALUATED}:
        return replace(progress, counted_until=None)
    if answer is Answer.BETWEEN:
        return Progress(state, timedelta(0), None)
    return _arrived(_counted(progress, now, timing), timing)


def _counted(progress: Progress, now: datetime, timing: Timing) -> Progress:
    gap = now - progress.counted_until if progress.counted_until else timedelta(0)
    counts = timedelta(0) < gap <= timing.longest_gap
    return replace(progress, elapsed=progress.elapsed + (gap if counts else timedelta(0)), counted_until=now)


def _arrived(progress: Progress, timing: Timing) -> Progress:
    if progress.state is State.PENDING and progress.elapsed >= timing.for_:
        return Progress(State.FIRING, timedelta(0), progress.counted_until)
    if progress.state is State.RECOVERING and progress.elapsed >= timing.keep:
        return Progress(State.OK, timedelta(0), progress.counted_until)
    return progress
