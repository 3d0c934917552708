"""The same facts always give the same verdict, and it is the right one."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from monitor.rules.judge import judge_listings, judge_rate
from monitor.rules.model import RULE
from monitor.rules.verdict import Answer, ListingFact, RateFacts

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
GROUP = (("customer", "bolt"), ("stream", "newsletter"), ("provider", "yahoo"))
RATE = {
    "id": "complaint-rate", "kind": "complaint_rate", "above": "0.3%", "clear": {"below": "0.1%"},
    "suspend": {"effect": "hold", "scope": ["customer", "stream"], "at_most": "24h"},
}
LISTING = {"id": "ip-listed", "kind": "listing", "min_weight": 0.7, "suspend": {}}


def rate_verdict(complaints, delivered, stale=None, **changes):
    rule = RULE.validate_python({**RATE, **changes})
    return judge_rate(rule, RateFacts(GROUP, NOW - timedelta(hours=24), delivered, complaints, NOW, stale), NOW)


@pytest.mark.parametrize(("complaints", "delivered", "answer", "reason"), [
    (82, 20_000, "breach", None),        # 0.41 %, at least 0.33 %
    (62, 20_000, "between", None),       # 0.31 %, but perhaps 0.24 %
    (1, 50, "unknown", "insufficient"),  # 2 % of nothing much
    (2, 150, "between", None),           # 1.3 %, on two complaints
    (0, 200, "between", None),           # none yet, but too few to call healed
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


def test_a_breach_names_what_to_brake_and_its_counts():
    verdict = rate_verdict(82, 20_000)
    assert verdict.members[0].scope == {"customer": "bolt", "stream": "newsletter"}
    assert verdict.summary.startswith("complaint rate 0.41 % (82 of 20,000; at least 0.33 %)")


def test_nothing_is_braked_that_is_wider_than_what_was_judged():
    rule = RULE.validate_python(RATE)
    unattributed = (("customer", "bolt"), ("provider", "yahoo"))  # complaints that name no stream
    verdict = judge_rate(rule, RateFacts(unattributed, NOW, 20_000, 200, NOW), NOW)
    assert verdict.answer is Answer.BREACH
    assert verdict.members == ()


def listing(target="192.0.2.7", phase="listed", dnsbl="big", weight=1.0, **more):
    detail = {"weight": weight, "name": dnsbl.title(), "operator": f"{dnsbl} operator", "meanings": ["spam source"],
              "delist_url": f"https://{dnsbl}.example/removal", **more.pop("detail", {})}
    said = {"is_ip": True, "baseline": False, "codes": ("127.0.0.2",), "first_seen_at": NOW, "confirmed_at": NOW,
            "pool": "shared", **more}
    return ListingFact(target=target, dnsbl=dnsbl, phase=phase, detail=detail, **said)


def listing_verdicts(*facts, **changes):
    return judge_listings(RULE.validate_python({**LISTING, **changes}), facts)


def test_one_operator_listing_many_ips_of_a_pool_is_one_incident_that_brakes_each():
    verdicts = listing_verdicts(*(listing(f"192.0.2.{i}") for i in range(1, 41)))
    assert len(verdicts) == 1
    assert {member.scope["ip"] for member in verdicts[0].members} == {f"192.0.2.{i}" for i in range(1, 41)}


@pytest.mark.parametrize("fact", [
    listing(weight=0.4), listing(baseline=True), listing(detail={"kind": "allow"}), listing(detail={"collateral": True}),
    listing(detail={"finding": False}),
])
def test_light_lists_old_findings_allow_lists_and_collateral_raise_nothing(fact):
    assert listing_verdicts(fact) == []


def test_a_list_that_is_part_of_another_is_not_counted_twice():
    part = listing(dnsbl="part", detail={"included_in": "big"})
    assert len(listing_verdicts(part, listing())) == 1
    assert len(listing_verdicts(part)) == 1


def test_what_is_merely_suspected_is_no_breach():
    assert [v.answer for v in listing_verdicts(listing(phase="suspected", confirmed_at=None))] == [Answer.BETWEEN]


def test_what_is_clearing_keeps_its_brake_until_it_is_clear():
    (verdict,) = listing_verdicts(listing(phase="clearing"), listing("192.0.2.8"))
    assert verdict.answer is Answer.BREACH
    assert {member.scope["ip"] for member in verdict.members} == {"192.0.2.7", "192.0.2.8"}


def test_a_list_that_cannot_be_asked_any_more_makes_its_listings_unknown():
    (verdict,) = listing_verdicts(listing(unknown_reason="refused"))
    assert (verdict.word, verdict.reason) == ("unknown", "refused")


def test_what_stands_in_no_pool_is_judged_by_itself():
    verdicts = listing_verdicts(listing(pool=None), listing("192.0.2.8", pool=None))
    assert len(verdicts) == 2


@pytest.mark.parametrize(("change", "words"), [
    ({"clear": {"below": "1%"}}, "clear.below"),
    ({"suspend": {"scope": ["customer"]}}, "at_most"),
    ({"suspend": {"scope": ["ip"], "at_most": "1h"}}, "does not tell apart"),
    ({"suspend": {"at_most": "1h"}}, "scope is missing"),
    ({"suspend": {"effect": "slow", "scope": ["customer"]}}, "rate_per_hour"),
    ({"window": "soon"}, "window"),
    ({"threshold": 1}, "threshold"),
])
def test_a_rule_that_makes_no_sense_is_refused(change, words):
    with pytest.raises(ValidationError, match=words):
        RULE.validate_python({**RATE, **change})
