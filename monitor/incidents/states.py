"""From verdict to state, one verdict after the other, for one rule and one group. Pure and total.

  state       breach                      between      clear                     no_data, insufficient, error, unevaluated
  pending     pending → firing            ok           ok                        pending, timer frozen
  firing      firing                      firing       recovering (ok: keep=0)   firing, timer frozen
  recovering  firing                      recovering*  recovering → ok           recovering, timer frozen
  all others  pending (firing: for=0)     ok           ok                        nodata, insufficient, error, unevaluated

* What is no breach does not fire again; the time it was clear begins anew.

Pending, firing and recovering are the states of an open incident; unknown never ends one. Only time seen to be in
breach (or clear) counts against `for` (or `keep_firing_for`): a gap between two verdicts longer than `longest_gap`, as
after a restart, counts nothing, and so does time that ends or begins in unknown.
"""

from __future__ import annotations

import enum
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from collectors.contract import Reason
from monitor.rules.verdict import Answer, Verdict


class State(enum.StrEnum):
    """Of an incident: ok (ended), pending, firing, recovering. The others say why a group without one is not judged."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"
    NODATA = "nodata"
    ERROR = "error"
    UNEVALUATED = "unevaluated"
    INSUFFICIENT = "insufficient"


OPEN = frozenset({State.PENDING, State.FIRING, State.RECOVERING})


class Input(enum.StrEnum):
    """What a verdict comes to: its answer, an unknown one split by its reason."""

    BREACH = "breach"
    BETWEEN = "between"
    CLEAR = "clear"
    NO_DATA = "no_data"
    INSUFFICIENT = "insufficient"
    ERROR = "error"
    UNEVALUATED = "unevaluated"


_REASONS = {Reason.INSUFFICIENT: Input.INSUFFICIENT, Reason.INTERNAL: Input.ERROR}


def input_of(verdict: Verdict) -> Input:
    if verdict.answer is Answer.UNKNOWN:
        return _REASONS.get(Reason(verdict.reason), Input.NO_DATA) if verdict.reason in tuple(Reason) else Input.NO_DATA
    return Input(verdict.answer.value)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a group stands. `elapsed` is what the timer of this state has counted so far;
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


def longest_gap(gaps: Sequence[float]) -> timedelta:
    """How long two judgements may be apart and all between counts: three times the usual, 3 minutes at least.

    `gaps`: seconds between the last judgements. One outage among them does not become the usual.
    """
    usual = timedelta(seconds=statistics.median(gaps)) if gaps else timedelta(0)
    return max(timedelta(minutes=3), 3 * usual)


_FREEZING = frozenset({Input.NO_DATA, Input.INSUFFICIENT, Input.ERROR, Input.UNEVALUATED})
_NOT_OPEN: dict[Input, State] = {
    Input.BREACH: State.PENDING,
    Input.BETWEEN: State.OK,
    Input.CLEAR: State.OK,
    Input.NO_DATA: State.NODATA,
    Input.INSUFFICIENT: State.INSUFFICIENT,
    Input.ERROR: State.ERROR,
    Input.UNEVALUATED: State.UNEVALUATED,
}
# state → input → the state whose timer runs now; a timer that is through moves on in `step`
_NEXT: dict[State, dict[Input, State]] = {
    **{state: _NOT_OPEN for state in State if state not in OPEN},
    State.PENDING: {
        Input.BREACH: State.PENDING, Input.BETWEEN: State.OK, Input.CLEAR: State.OK,
        **dict.fromkeys(_FREEZING, State.PENDING),
    },
    State.FIRING: {
        Input.BREACH: State.FIRING, Input.BETWEEN: State.FIRING, Input.CLEAR: State.RECOVERING,
        **dict.fromkeys(_FREEZING, State.FIRING),
    },
    State.RECOVERING: {
        Input.BREACH: State.FIRING, Input.BETWEEN: State.RECOVERING, Input.CLEAR: State.RECOVERING,
        **dict.fromkeys(_FREEZING, State.RECOVERING),
    },
}  # fmt: skip


_TIMED = frozenset({State.PENDING, State.RECOVERING})


def step(progress: Progress, heard: Input, now: datetime, timing: Timing) -> Progress:
    """Where it stands after one more verdict."""
    state = _NEXT[progress.state][heard]
    if state is not progress.state:
        return _arrived(Progress(state, timedelta(0), now), timing)
    if state not in _TIMED:
        return progress
    if heard in _FREEZING:
        return replace(progress, counted_until=None)
    if heard is Input.BETWEEN:
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
