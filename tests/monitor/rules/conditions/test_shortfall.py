import math
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError
from scipy.stats import poisson

from monitor.rules.conditions.shortfall import Shortfall, judge_feed, poisson_at_most
from monitor.rules.conditions.table import judge
from monitor.rules.evidence import Day, Feed
from monitor.rules.in_memory import Fact, MemoryEvidence

NOW = datetime(2026, 1, 30, 12, tzinfo=UTC)
SINCE = NOW - timedelta(days=3)


def day(delivered, reports):
    return Day(reports, delivered)


STEADY = (day(10_000, 40),) * 14


def rule(**given):
    return Shortfall.model_validate({"id": "fbl-silence", "condition": "shortfall", "signal": "feedback_reports"} | given)


def judged(delivered=30_000, reports=0, history=STEADY, unread=None, **given):
    feed = Feed((("provider", "yahoo"),), SINCE, reports, delivered, tuple(history), SINCE, unread)
    return judge_feed(rule(**given), feed)


def answer(*given, **more):
    verdict = judged(*given, **more)
    return f"{verdict.answer} {verdict.reason}" if verdict.reason else str(verdict.answer)


def test_silence_says_how_long_and_how_much_was_expected():
    verdict = judged()
    assert (verdict.answer, verdict.group) == ("breach", (("provider", "yahoo"),))
    assert verdict.summary == "no reports in 3 days, expected 40 a day; the last came 2026-01-27 12:00 UTC"
    assert verdict.evidence.expected == 120
    assert verdict.evidence.chance < 1e-50


@pytest.mark.parametrize(
    ("reports", "word"),
    [(0, "breach"), (12, "breach"), (13, "between"), (35, "between"), (36, "clear"), (120, "clear"), (900, "clear")],
)
def test_few_reports_are_silence_and_a_mere_dip_is_not(reports, word):
    assert answer(reports=reports) == word


def test_a_weekend_expects_less_because_less_was_sent():
    week = (day(10_000, 40),) * 5 + (day(1_000, 4),) * 2
    assert answer(delivered=30_000, history=week * 2) == "breach"
    assert answer(delivered=2_000, reports=0, history=week * 2) == "breach"  # 8 expected: none is e^-8
    assert answer(delivered=1_000, reports=0, history=week * 2) == "unknown insufficient"  # 4 expected


def test_reports_that_come_days_later_than_the_mail_do_not_move_the_median():
    week = (day(10_000, 40),) * 5 + (day(1_000, 60),) * 2
    assert judged(history=week * 2).evidence.expected == 120


def test_nothing_delivered_is_unknown_and_not_silence():
    assert answer(delivered=0) == "unknown no_data"


def test_an_unread_mailbox_makes_silence_unknown_and_leaves_reports_reports():
    assert answer(unread="its mailbox was not read") == "unknown stale"
    assert answer(reports=100, unread="its mailbox was not read") == "clear"


def test_a_new_loop_is_not_judged_before_it_has_a_history():
    assert answer(history=STEADY[:6]) == "unknown insufficient"
    assert answer(history=STEADY[:7]) == "breach"


def test_days_without_volume_are_no_history():
    assert answer(history=STEADY[:6] + (day(999, 0),) * 20) == "unknown insufficient"


def test_a_loop_that_never_spoke_much_cannot_fall_silent():
    assert answer(history=(day(10_000, 0),) * 14) == "unknown insufficient"
    assert answer(history=(day(10_000, 2),) * 14, delivered=30_000) == "unknown insufficient"  # e^-6 > 0.001
    assert answer(history=(day(10_000, 2),) * 14, delivered=30_000, alpha=0.01) == "breach"


def test_a_flood_of_complaints_in_the_past_does_not_raise_the_bar():
    assert judged(history=(*STEADY[:12], day(10_000, 5_000), day(10_000, 9_000))).evidence.expected == 120


@pytest.mark.parametrize("given", [{"clear_above": 0.1}, {"history": "5d"}, {"alpha": 0}, {"colour": "red"}])
def test_a_rule_that_does_not_hang_together_is_refused(given):
    with pytest.raises(ValidationError):
        rule(**given)


@pytest.mark.parametrize(("days_without", "answer"), [(0, "clear"), (3, "breach")])
def test_any_feed_can_fall_short_also_without_anything_it_is_of(days_without, answer):
    records = rule(id="records", signal="mta_records", by=["customer"])
    facts = [Fact("delivered", {"customer": "acme"}, NOW - timedelta(days=day, hours=1), 5_000.0) for day in range(days_without, 30)]
    (verdict,) = judge(records, MemoryEvidence(NOW, facts), NOW)
    assert (verdict.group, verdict.answer) == ((("customer", "acme"),), answer)
    assert "expected 5,000 a day" in verdict.summary


@pytest.mark.parametrize("mean", [0.01, 1, 6.9, 120, 5_000, 1e6])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 1, 1.2])
def test_the_tail_of_poisson_is_scipys(mean, share):
    k = int(mean * share)
    assert math.isclose(poisson_at_most(k, mean), poisson.cdf(k, mean), rel_tol=1e-6, abs_tol=1e-300)
