"""A bad campaign is its own: what is held alone is no evidence of its stream, and a hold of the stream gives way to it."""

from datetime import UTC, datetime, timedelta

import pytest

from monitor.config.load import read_rules
from monitor.config.yaml_file import ConfigErrors
from monitor.rules.conditions.table import judge
from monitor.rules.evidence import Hold
from monitor.rules.in_memory import Fact, MemoryEvidence
from monitor.rules.load import SHIPPED, check_rules
from monitor.rules.verdict import Answer

NOON = datetime(2026, 1, 20, 12, tzinfo=UTC)
RULES = {rule.id: rule for rule in check_rules(read_rules(SHIPPED))}
STREAM = {"customer": "acme", "stream": "news", "provider": "gmail"}
GROUP = tuple(STREAM.items())
BOUGHT = (("customer", "acme"), ("stream", "news"), ("campaign", "bought"), ("provider", "gmail"))


def mailed(campaign, *, hours_ago, delivered, complaints):
    at, labels = NOON - timedelta(hours=hours_ago), {**STREAM, "campaign": campaign}
    return [Fact("delivered", labels, at, delivered), Fact("complaint", labels, at, complaints)]


def healthy(*, until_hours_ago, days=10):
    hours = range(days * 24, until_hours_ago, -6)
    return [fact for hour in hours for fact in mailed(f"h{hour}", hours_ago=hour, delivered=1200, complaints=1)]


def verdict(rule, facts, *, held=None, opened=()):
    evidence = MemoryEvidence(NOON, facts, held=held or {}, judged={rule: list(opened)})
    return next((each for each in judge(RULES[rule], evidence, NOON) if each.group == GROUP or each.group == BOUGHT), None)


def held(*, hours_ago, until=None, timed_out=False):
    return [Hold(NOON - timedelta(hours=hours_ago), until, timed_out=timed_out, scope=STREAM)]


WORSE = [fact for hour in (5, 3, 1) for fact in mailed(f"w{hour}", hours_ago=hour, delivered=1000, complaints=8)]
ONE_BAD = mailed("bought", hours_ago=3, delivered=1000, complaints=30)


def test_three_bad_campaigns_speak_of_their_stream():
    assert verdict("complaint-rate", [*healthy(until_hours_ago=6), *WORSE]).answer is Answer.BREACH


def test_one_bad_campaign_does_not_where_campaigns_may_differ():
    facts = [*healthy(until_hours_ago=12, days=1), *ONE_BAD]
    assert verdict("complaint-rate", facts).answer is Answer.CLEAR
    assert verdict("complaint-campaign", facts).answer is Answer.BREACH


def test_what_a_campaign_held_alone_drew_is_no_evidence_of_its_stream():
    facts = [*healthy(until_hours_ago=6), *ONE_BAD, *mailed("later", hours_ago=1, delivered=1200, complaints=3)]
    assert verdict("complaint-rate", facts).answer is Answer.BREACH
    alone = {"complaint-campaign": {BOUGHT: held(hours_ago=2)}}
    assert verdict("complaint-rate", facts, held=alone).answer is Answer.CLEAR
    lifted = {"complaint-campaign": {BOUGHT: held(hours_ago=2, until=NOON - timedelta(hours=1))}}
    assert verdict("complaint-rate", facts, held=lifted).answer is Answer.BREACH


def test_three_campaigns_held_alone_are_evidence_of_their_stream():
    alone = {
        (("customer", "acme"), ("stream", "news"), ("campaign", f"w{hour}"), ("provider", "gmail")): held(hours_ago=hour)
        for hour in (5, 3, 1)
    }
    facts = [*healthy(until_hours_ago=6), *WORSE]
    assert "(24 of 3,000)" in verdict("complaint-rate", facts, held={"complaint-campaign": alone}).summary
    two = {"complaint-campaign": dict(list(alone.items())[:2])}
    assert "(8 of 1,000)" in verdict("complaint-rate", facts, held=two).summary


def test_a_hold_of_the_stream_gives_way_to_one_of_the_campaign_it_was_put_on_for():
    facts = [*healthy(until_hours_ago=6), *ONE_BAD]
    own = {"complaint-rate": {GROUP: held(hours_ago=2)}}
    stays = verdict("complaint-rate", facts, held=own, opened=[GROUP])
    assert stays.answer is Answer.BREACH
    gives_way = verdict("complaint-rate", facts, held={**own, "complaint-campaign": {BOUGHT: held(hours_ago=1)}}, opened=[GROUP])
    assert gives_way.answer is Answer.CLEAR
    assert gives_way.summary == "what it was held for is held by itself: campaign bought"


@pytest.mark.parametrize(("hours_ago", "answer"), [(5, Answer.BREACH), (8, Answer.CLEAR)])
def test_of_a_campaign_that_was_sent_long_ago_there_is_nothing_left_to_hold(hours_ago, answer):
    facts = [*healthy(until_hours_ago=40), *mailed("bought", hours_ago=hours_ago, delivered=1000, complaints=30)]
    assert verdict("complaint-campaign", facts).answer is answer


def test_a_rule_beside_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("- {id: mine, condition: excess, signal: complaints, beside: complaint-campain}\n")
    with pytest.raises(ConfigErrors, match="no rule 'complaint-campain'"):
        check_rules(read_rules(path))
