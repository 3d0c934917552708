"""The same facts always give the same verdict, and it is the right one."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from monitor.rules.conditions.ratio import Counted, RatioNumbers, judge_counts, judge_rate
from monitor.rules.conditions.table import RULE
from monitor.rules.verdict import Answer

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
GROUP = (("customer", "bolt"), ("stream", "newsletter"), ("provider", "yahoo"))
RATE = {
    "id": "complaint-rate", "condition": "ratio", "signal": "complaints", "above": "0.3%", "clear": {"below": "0.1%"},
    "effect": {"action": "hold", "scope": ["customer", "stream"], "at_most": "24h"},
}


def rate_verdict(complaints, delivered, stale=None, **changes):
    rule = RULE.validate_python({**RATE, **changes})
    return judge_rate(rule, Counted(GROUP, NOW - timedelta(hours=24), delivered, complaints, stale), NOW)


@pytest.mark.parametrize(("complaints", "delivered", "answer", "reason"), [
    (82, 20_000, "breach", None),        # 0.41 %, at least 0.33 %
    (62, 20_000, "between", None),       # 0.31 %, but perhaps 0.24 %
    (1, 50, "unknown", "insufficient"),  # 2 % of nothing much
    (2, 150, "between", None),           # 1.3 %, on two complaints
    (0, 200, "between", None),           # none yet, but too few to call recovered
    (4, 20_000, "clear", None),
    (0, 0, "unknown", "no_data"),
    (5, 0, "unknown", "no_data"),
    (7, 3, "unknown", "insufficient"),
])
def test_a_rate_is_judged_by_its_bounds(complaints, delivered, answer, reason):
    verdict = rate_verdict(complaints, delivered)
    assert (verdict.answer, verdict.reason) == (answer, reason)


@pytest.mark.parametrize("complaints", [0, 4, 62])
def test_complaints_nobody_collected_prove_no_health(complaints):
    verdict = rate_verdict(complaints, 20_000, stale="the mailbox was not read")
    assert (verdict.answer, verdict.reason) == (Answer.UNKNOWN, "stale")


def test_many_complaints_are_a_breach_though_more_may_be_missing():
    assert rate_verdict(82, 20_000, stale="the mailbox was not read").answer is Answer.BREACH


def test_a_breach_names_what_to_hold_and_its_counts():
    verdict = rate_verdict(82, 20_000)
    assert verdict.members[0].scope == {"customer": "bolt", "stream": "newsletter"}
    assert verdict.summary.startswith("complaint rate 0.41 % (82 of 20,000; at least 0.33 %)")


def test_nothing_is_held_that_is_wider_than_what_was_judged():
    rule = RULE.validate_python(RATE)
    unattributed = (("customer", "bolt"), ("provider", "yahoo"))  # complaints that name no stream
    verdict = judge_rate(rule, Counted(unattributed, NOW, 20_000, 200), NOW)
    assert verdict.answer is Answer.BREACH
    assert verdict.members == ()


@pytest.mark.parametrize(("change", "words"), [
    ({"clear": {"below": "1%"}}, "clear.below"),
    ({"effect": {"scope": ["customer"]}}, "at_most"),
    ({"effect": {"scope": ["ip"], "at_most": "1h"}}, "which is not in `by`"),
    ({"effect": {"at_most": "1h"}}, "scope is missing"),
    ({"effect": {"action": "slow", "scope": ["customer"]}}, "rate_per_hour"),
    ({"window": "soon"}, "window"),
    ({"threshold": 1}, "threshold"),
])
def test_a_rule_that_makes_no_sense_is_refused(change, words):
    with pytest.raises(ValidationError, match=words):
        RULE.validate_python({**RATE, **change})


def test_complaints_that_may_be_of_a_group_keep_it_from_being_clear():
    for perhaps, answer in [(0, "clear"), (200, "between"), (20_000, "between")]:
        facts = Counted(GROUP, NOW, 10_000, 0, k_perhaps=perhaps)
        verdict = judge_rate(RULE.validate_python(RATE), facts, NOW)
        assert verdict.answer == answer
        assert isinstance(verdict.evidence, RatioNumbers)
        assert (verdict.evidence.numerator_perhaps or 0) == perhaps
    assert "20,000 complaints more may be of it" in verdict.summary


def test_mail_that_may_be_of_a_group_keeps_its_rate_from_being_a_breach():
    for perhaps, answer in [(0, "breach"), (80_000, "between")]:
        facts = Counted(GROUP, NOW, 20_000, 82, n_perhaps=perhaps)
        assert judge_rate(RULE.validate_python(RATE), facts, NOW).answer == answer


def test_mail_that_only_may_be_of_a_group_clears_nothing():
    verdict = judge_rate(RULE.validate_python(RATE), Counted(GROUP, NOW, 0, 0, n_perhaps=50_000), NOW)
    assert (verdict.answer, verdict.reason) == (Answer.UNKNOWN, "insufficient")


@pytest.mark.parametrize(("others", "answer"), [(0, "between"), (200, "breach")])
def test_a_wider_group_is_no_finding_of_its_own_where_a_part_of_it_explains_its_rate(others, answer):
    bolt = (("customer", "bolt"), ("provider", "yahoo"))
    facts = [Counted(GROUP, NOW, 20_000, 200), Counted(bolt, NOW, 40_000, 201 + others)]
    part, whole = judge_counts(RULE.validate_python(RATE), facts, None, NOW).values()
    assert (part.answer, whole.answer) == (Answer.BREACH, answer)
