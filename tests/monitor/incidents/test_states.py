"""The state table is total, and timers count only what was seen."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from monitor.incidents.states import Progress, State, Timing, step
from monitor.rules.verdict import Answer

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
SLOW = Timing(for_=timedelta(minutes=2), keep=timedelta(minutes=3))
AT_ONCE = Timing(for_=timedelta(0), keep=timedelta(0))

# the whole table, with timers that are never through
EXPECTED = {
    "ok": {"breach": "pending", "between": "ok", "clear": "ok", "unknown": "ok", "unevaluated": "ok"},
    "pending": {"breach": "pending", "between": "ok", "clear": "ok", "unknown": "pending", "unevaluated": "pending"},
    "firing": {"breach": "firing", "between": "firing", "clear": "recovering", "unknown": "firing", "unevaluated": "firing"},
    "recovering": {"breach": "firing", "between": "recovering", "clear": "recovering", "unknown": "recovering", "unevaluated": "recovering"},
}
EXPECTED_AT_ONCE = {
    "ok": {"breach": "firing", "between": "ok", "clear": "ok", "unknown": "ok", "unevaluated": "ok"},
    "pending": {"breach": "firing", "between": "ok", "clear": "ok", "unknown": "pending", "unevaluated": "pending"},
    "firing": {"breach": "firing", "between": "firing", "clear": "ok", "unknown": "firing", "unevaluated": "firing"},
    "recovering": {"breach": "firing", "between": "recovering", "clear": "ok", "unknown": "recovering", "unevaluated": "recovering"},
}


@pytest.mark.parametrize(("state", "answer"), list(itertools.product(State, Answer)))
@pytest.mark.parametrize(("timing", "table"), [(SLOW, EXPECTED), (AT_ONCE, EXPECTED_AT_ONCE)])
def test_every_state_knows_every_answer(state, answer, timing, table):
    assert step(Progress(state), answer, NOW, timing).state == table[state][answer]


def play(script, timing=SLOW, minutes=1.0):
    """The states after each answer, one answer a minute."""
    progress, states = Progress(), []
    for i, answer in enumerate(script):
        progress = step(progress, Answer(answer), NOW + timedelta(minutes=i * minutes), timing)
        states.append(progress.state.value)
    return states


def test_a_breach_fires_once_it_has_lasted_as_long_as_asked():
    assert play(["breach", "breach", "breach"]) == ["pending", "pending", "firing"]


def test_a_breach_that_ends_in_time_never_fires():
    assert play(["breach", "breach", "between", "breach"]) == ["pending", "pending", "ok", "pending"]


def test_samples_missing_while_recovering_freeze_the_timer_and_resolve_nothing():
    script = ["breach"] * 3 + ["clear", "clear", "unknown", "unknown", "clear", "clear", "clear"]
    assert play(script)[3:] == ["recovering"] * 6 + ["ok"]


def test_an_outage_is_not_counted_against_the_pending_timer():
    assert play(["breach", "unknown", "unknown", "unknown", "breach", "breach", "breach"])[-3:] == [
        "pending", "pending", "firing",
    ]


def test_what_is_no_longer_clear_and_no_breach_does_not_fire_again_but_must_be_clear_anew():
    script = ["breach"] * 3 + ["clear", "clear", "clear", "between", "clear", "clear", "clear", "clear"]
    assert play(script)[3:] == ["recovering"] * 7 + ["ok"]


def test_a_breach_while_recovering_fires_again_and_the_clear_timer_starts_anew():
    script = ["breach"] * 3 + ["clear", "clear", "breach", "clear", "clear", "clear", "clear"]
    assert play(script)[3:] == ["recovering", "recovering", "firing", "recovering", "recovering", "recovering", "ok"]


def test_the_time_the_process_was_down_is_not_taken_for_time_in_breach():
    pending = step(Progress(), Answer.BREACH, NOW, SLOW)
    later = step(pending, Answer.BREACH, NOW + timedelta(hours=3), SLOW)
    assert later.state is State.PENDING
    assert later.elapsed == timedelta(0)


def test_a_clock_stepped_back_counts_nothing():
    pending = step(Progress(), Answer.BREACH, NOW, SLOW)
    assert step(pending, Answer.BREACH, NOW - timedelta(hours=1), SLOW).elapsed == timedelta(0)


@pytest.mark.parametrize("state", [State.FIRING, State.RECOVERING])
def test_unknown_never_ends_what_fires_however_long_it_lasts(state):
    progress = Progress(state)
    for hour in range(1000):
        progress = step(progress, Answer.UNKNOWN, NOW + timedelta(hours=hour), AT_ONCE)
    assert progress.state is state
