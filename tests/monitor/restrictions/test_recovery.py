"""The table of stages is total, and what it says of rates holds whatever happens."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.restrictions.recovery import TABLE, Heard, Progress, Stage, is_due, is_last, step
from monitor.rules.ladders import ladders

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
STEADY, GMAIL = ladders()["steady"], ladders()["gmail"]
HOUR = timedelta(hours=1)
# where (stage, heard) leads before and after the shortest time at a step: n, s, h, p, r
EXPECTED = {
    "normal":  {"nothing": "nn", "slow": "ss", "hold": "hh", "good": "nn", "restored": "nn"},
    "slowed":  {"nothing": "ss", "slow": "ss", "hold": "hh", "good": "sr", "restored": "sn"},
    "held":    {"nothing": "hp", "slow": "hh", "hold": "hh", "good": "hp", "restored": "hp"},
    "probing": {"nothing": "pp", "slow": "hh", "hold": "hh", "good": "pr", "restored": "pn"},
    "ramping": {"nothing": "rr", "slow": "ss", "hold": "hh", "good": "rr", "restored": "rn"},
}


@pytest.mark.parametrize(("stage", "heard"), list(product(Stage, Heard)))
def test_every_stage_knows_what_follows_from_whatever_is_heard(stage, heard):
    assert "".join(each.value[0] for each in TABLE[stage, heard]) == EXPECTED[stage][heard]


def test_nothing_else_is_in_the_table():
    assert set(TABLE) == set(product(Stage, Heard))


def test_silence_never_lets_more_through_than_the_probe_of_a_hold_whose_time_is_over():
    for stage, due in product(Stage, (0, 1)):
        after = TABLE[stage, Heard.NOTHING][due]
        assert after is stage or (stage, after) == (Stage.HELD, Stage.PROBING)


def way(progress, ladder, heard, *, until=Stage.NORMAL, most=200):
    """The steps of a scope that always hears the same, or restored once it is the last."""
    now, steps = progress.since, [progress]
    for _ in range(most):
        now += timedelta(minutes=5)
        progress = step(progress, Heard.RESTORED if is_last(progress, ladder) and heard is Heard.GOOD else heard, now, ladder)
        if progress is not steps[-1]:
            steps.append(progress)
        if progress.stage is until:
            break
    return steps


def test_a_hold_comes_back_in_even_steps_to_what_there_was_before_and_no_further():
    steps = way(Progress(Stage.HELD, NOW, HOUR, usual=1000), STEADY, Heard.GOOD)
    assert [each.stage.value for each in steps[:3]] == ["held", "probing", "ramping"]
    rates = [each.rate for each in steps if each.stage in {Stage.PROBING, Stage.RAMPING}]
    assert rates == list(range(50, 1000, 100))
    assert (steps[-1].stage, steps[-1].rate) == (Stage.NORMAL, None)
    assert all(later.since - earlier.since >= STEADY.dwell for earlier, later in pairwise(steps[1:]))


def test_gmail_waits_ten_minutes_then_has_one_connection_and_one_more_at_a_time():
    steps = way(Progress(Stage.HELD, NOW, GMAIL.hold, usual=1000), GMAIL, Heard.GOOD)
    assert steps[1].since - NOW == timedelta(minutes=10)
    assert [each.connections for each in steps[1:6]] == [1, 2, 3, 4, 5]
    failed = step(steps[1], Heard.HOLD, steps[1].since + timedelta(minutes=1), GMAIL)
    assert (failed.stage, GMAIL.held_for(failed.first_hold, failed.relapses)) == (Stage.HELD, timedelta(minutes=10))


def test_a_relapse_is_held_longer_each_time_up_to_the_longest():
    lengths = [STEADY.held_for(HOUR, relapses) for relapses in range(9)]
    assert lengths[:4] == [HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR]
    assert lengths[-1] == STEADY.longest_hold
    assert STEADY.held_for(timedelta(days=7), 3) == timedelta(days=7), "never shorter than the rule's own"


def test_after_a_relapse_it_goes_on_from_a_share_of_the_last_good_rate():
    ramping = Progress(Stage.RAMPING, NOW, HOUR, usual=1000, good=600, rate=700)
    held = step(ramping, Heard.HOLD, NOW, STEADY)
    assert (held.stage, held.relapses, held.good) == (Stage.HELD, 1, 600)
    *_, first = way(held, STEADY, Heard.GOOD, until=Stage.RAMPING)
    assert first.rate == 300 + 100


def test_what_was_never_measured_comes_back_to_what_the_ladder_says():
    rates = [each.rate for each in way(Progress(Stage.HELD, NOW, HOUR), STEADY, Heard.GOOD) if each.rate]
    assert max(rates) < STEADY.unknown_per_hour <= max(rates) + STEADY.step.of(STEADY.unknown_per_hour)


@given(
    heard=st.lists(st.tuples(st.sampled_from(Heard), st.integers(0, 300)), max_size=60), usual=st.none() | st.integers(1, 10**7),
    ladder=st.sampled_from([STEADY, GMAIL]),
)
def test_whatever_is_heard_a_rate_rises_by_one_step_on_good_evidence_only(heard, usual, ladder):
    now, progress = NOW, Progress(Stage.HELD, NOW, ladder.hold, usual=usual)
    for each, minutes in heard:
        now += timedelta(minutes=minutes)
        due, after = is_due(progress, ladder, now), step(progress, each, now, ladder)
        if after is not progress:
            assert after.since == now
            assert (after.rate is None) == (after.stage in {Stage.NORMAL, Stage.HELD})
        if _allowed(after) > _allowed(progress):
            assert due
            assert each in {Heard.GOOD, Heard.RESTORED} or after.stage is Stage.PROBING
        progress = after


def _allowed(progress):
    return {Stage.NORMAL: float("inf"), Stage.HELD: 0}.get(progress.stage, progress.rate)
