"""The state table is total, and timers count only what was seen."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from monitor.incidents.states import Input, Progress, State, Timing, input_of, longest_gap, step
from monitor.rules.verdict import Answer, Verdict

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
SLOW = Timing(for_=timedelta(minutes=2), keep=timedelta(minutes=3))
AT_ONCE = Timing(for_=timedelta(0), keep=timedelta(0))

UNKNOWN = ("no_data", "insufficient", "error", "unevaluated")
NOT_OPEN = ("ok", "nodata", "error", "unevaluated", "insufficient")


def frozen(state):
    return dict.fromkeys(UNKNOWN, state)


SAYS_WHY = {"no_data": "nodata", "insufficient": "insufficient", "error": "error", "unevaluated": "unevaluated"}
# the whole table, with timers that are never through
EXPECTED = {
    **{state: {"breach": "pending", "between": "ok", "clear": "ok", **SAYS_WHY} for state in NOT_OPEN},
    "pending": {"breach": "pending", "between": "ok", "clear": "ok", **frozen("pending")},
    "firing": {"breach": "firing", "between": "firing", "clear": "recovering", **frozen("firing")},
    "recovering": {"breach": "firing", "between": "recovering", "clear": "recovering", **frozen("recovering")},
}
EXPECTED_AT_ONCE = {
    **{state: {"breach": "firing", "between": "ok", "clear": "ok", **SAYS_WHY} for state in NOT_OPEN},
    "pending": {"breach": "firing", "between": "ok", "clear": "ok", **frozen("pending")},
    "firing": {"breach": "firing", "between": "firing", "clear": "ok", **frozen("firing")},
    "recovering": {"breach": "firing", "between": "recovering", "clear": "ok", **frozen("recovering")},
}


@pytest.mark.parametrize(("state", "heard"), list(itertools.product(State, Input)))
@pytest.mark.parametrize(("timing", "table"), [(SLOW, EXPECTED), (AT_ONCE, EXPECTED_AT_ONCE)])
def test_every_state_knows_every_input(state, heard, timing, table):
    assert step(Progress(state), heard, NOW, timing).state == table[state][heard]


@pytest.mark.parametrize(("answer", "reason", "heard"), [
    ("breach", None, "breach"), ("between", None, "between"), ("clear", None, "clear"), ("unknown", "no_data", "no_data"),
    ("unknown", "stale", "no_data"), ("unknown", "timeout", "no_data"), ("unknown", None, "no_data"),
    ("unknown", "insufficient", "insufficient"), ("unknown", "internal", "error"), ("unevaluated", "own-network", "unevaluated"),
])
def test_every_answer_is_an_input(answer, reason, heard):
    assert input_of(Verdict((), Answer(answer), "", reason)) == heard


def play(script, timing=SLOW, minutes=1.0):
    """The states after each answer, one answer a minute."""
    progress, states = Progress(), []
    for i, answer in enumerate(script):
        progress = step(progress, Input(answer), NOW + timedelta(minutes=i * minutes), timing)
        states.append(progress.state.value)
    return states


def test_a_breach_fires_once_it_has_lasted_as_long_as_asked():
    assert play(["breach", "breach", "breach"]) == ["pending", "pending", "firing"]


def test_a_breach_that_ends_in_time_never_fires():
    assert play(["breach", "breach", "between", "breach"]) == ["pending", "pending", "ok", "pending"]


def test_samples_missing_while_recovering_freeze_the_timer_and_resolve_nothing():
    script = ["breach"] * 3 + ["clear", "clear", "no_data", "no_data", "clear", "clear", "clear"]
    assert play(script)[3:] == ["recovering"] * 6 + ["ok"]


def test_an_outage_is_not_counted_against_the_pending_timer():
    assert play(["breach", "no_data", "no_data", "no_data", "breach", "breach", "breach"])[-3:] == [
        "pending", "pending", "firing",
    ]


def test_what_is_no_longer_clear_and_no_breach_does_not_fire_again_but_must_be_clear_anew():
    script = ["breach"] * 3 + ["clear", "clear", "clear", "between", "clear", "clear", "clear", "clear"]
    assert play(script)[3:] == ["recovering"] * 7 + ["ok"]


def test_a_breach_while_recovering_fires_again_and_the_clear_timer_starts_anew():
    script = ["breach"] * 3 + ["clear", "clear", "breach", "clear", "clear", "clear", "clear"]
    assert play(script)[3:] == ["recovering", "recovering", "firing", "recovering", "recovering", "recovering", "ok"]


def test_the_time_the_process_was_down_is_not_taken_for_time_in_breach():
    pending = step(Progress(), Input.BREACH, NOW, SLOW)
    later = step(pending, Input.BREACH, NOW + timedelta(hours=3), SLOW)
    assert later.state is State.PENDING
    assert later.elapsed == timedelta(0)


def test_a_clock_stepped_back_counts_nothing():
    pending = step(Progress(), Input.BREACH, NOW, SLOW)
    assert step(pending, Input.BREACH, NOW - timedelta(hours=1), SLOW).elapsed == timedelta(0)


@pytest.mark.parametrize("state", [State.FIRING, State.RECOVERING])
def test_unknown_never_ends_what_fires_however_long_it_lasts(state):
    progress = Progress(state)
    for hour in range(1000):
        progress = step(progress, Input.NO_DATA, NOW + timedelta(hours=hour), AT_ONCE)
    assert progress.state is state


def test_a_gap_is_measured_against_how_often_it_is_really_judged():
    hourly = Timing(timedelta(hours=2), timedelta(hours=3), longest_gap([3600.0, 3600.0]))
    assert play(["breach"] * 3 + ["clear"] * 4, hourly, minutes=60)[-1] == "ok"
    assert longest_gap([]) == timedelta(minutes=3)
    assert longest_gap([10.0, 10.0, 10_000.0, 10.0]) == timedelta(minutes=3), "one outage is not the usual"
