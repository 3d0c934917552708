"""What gauges read and what states became, of our targets on score lists and allow lists."""

from datetime import UTC, datetime, timedelta

import pytest

from monitor.rules.conditions.table import RULE, judge
from monitor.rules.evidence import Change, Place, labels_of
from monitor.rules.in_memory import Fact, MemoryEvidence
from monitor.rules.lists import KnownList, KnownLists
from monitor.rules.verdict import Answer

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
PLACES = {f"192.0.2.{i}": Place(f"192.0.2.{i}", True, "shared") for i in range(1, 10)}
LISTS = KnownLists({"validity-score": KnownList("validity-score", "Score"), "allow": KnownList("allow", "Allow")})

# ── values ──


def score(value, target="192.0.2.7", reason=None, hours_old=0):
    labels = {"ip": target, "dnsbl": "validity-score"}
    return Fact("list_score", labels, NOW - timedelta(hours=hours_old), value, reason)


def score_verdict(*facts, **changes):
    rule = {"id": "score", "condition": "value", "signal": "list_scores", "where": {"dnsbl": "validity-score"}, "below": 70,
            "clear": {"above": 75}}
    (verdict,) = judge(RULE.validate_python({**rule, **changes}), MemoryEvidence(NOW, facts, places=PLACES, lists=LISTS), NOW)
    return verdict


@pytest.mark.parametrize(("value", "answer"), [(69, "breach"), (70, "between"), (75, "between"), (76, "clear")])
def test_a_score_has_a_line_to_fall_below_and_another_to_rise_above(value, answer):
    assert score_verdict(score(value)).answer == answer


@pytest.mark.parametrize(("value", "answer"), [(5, "breach"), (4, "between"), (3, "between"), (2, "clear")])
def test_where_little_is_good_the_lines_are_the_other_way_round(value, answer):
    assert score_verdict(score(value), below=None, above=4, clear={"below": 3}).answer == answer


def test_without_a_line_of_its_own_a_score_clears_at_the_threshold():
    assert score_verdict(score(70), clear={}).answer is Answer.CLEAR


def test_a_score_of_yesterday_says_nothing():
    verdict = score_verdict(score(50, hours_old=27))
    assert (verdict.answer, verdict.reason) == (Answer.UNKNOWN, "stale")
    assert score_verdict(score(50, hours_old=27), max_age="2d").answer is Answer.BREACH


def test_a_score_that_cannot_be_had_is_unknown_for_its_reason_and_clears_nothing():
    verdict = score_verdict(score(None, reason="timeout"), score(90, "192.0.2.8"))
    assert (verdict.answer, verdict.reason) == (Answer.UNKNOWN, "timeout")


def test_one_bad_score_of_a_pool_is_a_breach_whatever_is_unknown():
    verdict = score_verdict(score(None, reason="timeout"), score(50, "192.0.2.8"))
    assert [member.key for member in verdict.members] == ["192.0.2.8@validity-score"]
    assert verdict.summary == "192.0.2.8 has 50 on Score, below 70"


@pytest.mark.parametrize(("minutes_ahead", "answer"), [(-60, "clear"), (2, "clear"), (3, "breach")])
def test_facts_from_the_future_show_that_the_clock_is_behind(minutes_ahead, answer):
    rule = RULE.validate_python({"id": "clock", "condition": "value", "signal": "clock_behind", "by": [], "above": 120})
    (verdict,) = judge(rule, MemoryEvidence(NOW, [Fact("clock_behind", {}, NOW, minutes_ahead * 60.0)]), NOW)
    assert (verdict.group, verdict.answer) == ((), answer)


# ── changes ──


def lost(target="192.0.2.7", days_ago=1.0):
    after, at = (1.0, NOW) if days_ago is None else (0.0, NOW - timedelta(days=days_ago))
    return Change(labels_of(Place(target, True, "shared"), LISTS.of("allow")), 1.0, after, at, "Allow", "trusted")


def lost_verdicts(*changes, **settings):
    rule = {"id": "lost", "condition": "change", "signal": "allow_listings", "summary": "{targets} no longer on {names}"}
    return judge(RULE.validate_python({**rule, **settings}), MemoryEvidence(NOW, let_go=changes), NOW)


def test_a_lost_allow_listing_is_a_breach_that_says_what_was_lost():
    (verdict,) = lost_verdicts(lost(), lost("192.0.2.8"))
    assert verdict.answer is Answer.BREACH
    assert verdict.summary == "192.0.2.7, 192.0.2.8 no longer on Allow"
    assert verdict.members[0].text == "192.0.2.7: no longer as it was on Allow (was: trusted)"


def test_a_lost_allow_listing_is_over_when_all_are_regained():
    assert [v.answer for v in lost_verdicts(lost(days_ago=None), lost("192.0.2.8"))] == [Answer.BREACH]
    assert [v.answer for v in lost_verdicts(lost(days_ago=None))] == [Answer.CLEAR]


def test_a_lost_allow_listing_is_forgotten_in_the_end():
    assert lost_verdicts(lost(days_ago=14)) == []
    assert len(lost_verdicts(lost(days_ago=14), forget_after="15d")) == 1


def test_a_rule_may_name_its_lists_or_all_but_some():
    assert lost_verdicts(lost(), where={"dnsbl": "other"}) == []
    assert lost_verdicts(lost(), where={"dnsbl": {"not": "allow"}}) == []
    assert len(lost_verdicts(lost(), where={"dnsbl": {"not": ["other", "third"]}})) == 1


def test_any_state_that_became_what_it_should_not_is_a_change_until_it_is_something_else():
    rule = RULE.validate_python({"id": "lists", "condition": "change", "signal": "list_health", "by": ["dnsbl"]})

    def answers(*values):
        facts = [Fact("canary", {"dnsbl": "zen"}, NOW - timedelta(hours=9 - i), value) for i, value in enumerate(values)]
        return [verdict.answer.value for verdict in judge(rule, MemoryEvidence(NOW, facts), NOW)]

    assert answers(1.0, 1.0) == []
    assert answers(1.0, 0.0, None, 0.0) == ["breach"]
    assert answers(1.0, 0.0, 1.0) == ["clear"]
    assert answers(0.0) == []
