"""What stands on block lists, and what it amounts to."""

from datetime import UTC, datetime

import pytest

from collectors.details import ListAnswer, ListKind, ListSeverity
from collectors.dimensions import Use, names
from monitor.notify.message import next_steps
from monitor.rules.conditions.table import RULE, judge
from monitor.rules.evidence import ListingFact, Place
from monitor.rules.in_memory import MemoryEvidence
from monitor.rules.lists import KnownList, Phase
from monitor.rules.numbers import NOTHING
from monitor.rules.verdict import Answer

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
LISTING = {"id": "ip-listed", "condition": "listing", "min_weight": 0.7, "effect": {}}


def listing(target="192.0.2.7", phase="listed", dnsbl="big", weight=1.0, **more):
    """`known`: what the catalogue says of the list, `answer`: what it answered, where that is not the usual."""
    known = KnownList(dnsbl, **{"name": dnsbl.title(), "operator": f"{dnsbl} operator",
                                "delist_url": lambda _: f"https://{dnsbl}.example/removal", **more.pop("known", {})})
    answer = ListAnswer(weight=weight, meanings=("spam source",), **more.pop("answer", {}))
    place = Place(target, True, more.pop("pool", "shared"))
    fields = {"baseline": False, "codes": ("127.0.0.2",), "first_seen_at": NOW, "confirmed_at": NOW, **more}
    return ListingFact(place=place, dnsbl=dnsbl, phase=Phase(phase), answer=answer, known=known, **fields)


def listing_verdicts(*facts, **changes):
    return judge(RULE.validate_python({**LISTING, **changes}), MemoryEvidence(NOW, open_listings=facts), NOW)


def test_one_operator_listing_many_ips_of_a_pool_is_one_incident_that_holds_each():
    verdicts = listing_verdicts(*(listing(f"192.0.2.{i}") for i in range(1, 41)))
    assert len(verdicts) == 1
    assert {member.scope["ip"] for member in verdicts[0].members} == {f"192.0.2.{i}" for i in range(1, 41)}


@pytest.mark.parametrize("fact", [
    listing(weight=0.4), listing(known={"kind": ListKind.ALLOW}), listing(known={"collateral": True}),
    listing(answer={"finding": False}),
])
def test_light_lists_allow_lists_and_collateral_raise_nothing(fact):
    assert listing_verdicts(fact) == []


@pytest.mark.parametrize(("setting", "verdicts", "holds"), [
    ("ignore", 0, []), (False, 0, []), ("notify", 1, [False, False]), ("hold", 1, [True, True]), (True, 1, [True, True]),
])
def test_what_was_listed_when_first_seen_is_as_the_rule_says(setting, verdicts, holds):
    facts = [listing(baseline=True), listing("192.0.2.8", pool="other", baseline=True)]
    judged = listing_verdicts(*facts, baseline=setting)
    assert len(judged) == verdicts
    assert [member.holds for verdict in judged for member in verdict.members] == holds


def test_a_list_that_is_part_of_another_is_not_counted_twice():
    part = listing(dnsbl="part", known={"included_in": "big"})
    assert len(listing_verdicts(part, listing())) == 1
    assert len(listing_verdicts(part)) == 1


def test_what_is_merely_suspected_is_no_breach():
    assert [v.answer for v in listing_verdicts(listing(phase="suspected", confirmed_at=None))] == [Answer.BETWEEN]


def test_what_is_clearing_keeps_its_suspension_until_it_is_clear():
    (verdict,) = listing_verdicts(listing(phase="clearing"), listing("192.0.2.8"))
    assert verdict.answer is Answer.BREACH
    assert {member.scope["ip"] for member in verdict.members} == {"192.0.2.7", "192.0.2.8"}


def test_a_list_that_cannot_be_asked_any_more_makes_its_listings_unknown():
    (verdict,) = listing_verdicts(listing(unknown_reason="refused"))
    assert (verdict.word, verdict.reason) == ("unknown", "refused")


def test_what_stands_in_no_pool_is_judged_by_itself():
    verdicts = listing_verdicts(listing(pool=None), listing("192.0.2.8", pool=None))
    assert len(verdicts) == 2


# ── how bad ──


@pytest.mark.parametrize(("weight", "code", "isps", "severity"), [
    (1.0, "critical", ["Gmail"], "critical"),
    (0.8, "high", ["Microsoft"], "critical"),
    (1.0, "critical", [], "warning"),           # nobody is known to act upon it
    (0.6, "high", ["Yahoo"], "warning"),
    (0.6, "medium", ["Yahoo"], "warning"),
    (0.35, "medium", ["Yahoo"], "info"),
    (1.0, "low", ["Gmail"], "info"),
    (1.0, "info", ["Gmail"], "info"),
])
def test_severity_auto_weighs_the_list_the_code_and_who_acts_upon_it(weight, code, isps, severity):
    fact = listing(weight=weight, answer={"severity": ListSeverity(code)}, known={"isps": tuple(isps)})
    (verdict,) = listing_verdicts(fact, severity="auto", min_weight=0)
    assert verdict.severity == severity


def test_an_incident_is_as_grave_as_its_worst_listing():
    facts = [listing(answer={"severity": ListSeverity.LOW}), listing("192.0.2.8", answer={"severity": ListSeverity.CRITICAL}, known={"isps": ("Gmail",)})]
    (verdict,) = listing_verdicts(*facts, severity="auto")
    assert verdict.severity == "critical"
    assert {member.severity for member in verdict.members} == {"info", "critical"}


def test_a_severity_that_is_written_down_is_taken():
    (verdict,) = listing_verdicts(listing(answer={"severity": ListSeverity.LOW}), severity="critical")
    assert verdict.severity == "critical"


def test_lists_that_blame_the_neighbours_are_information_and_one_incident_per_operator():
    facts = [listing(f"192.0.2.{i}", dnsbl=f"level-{i}", pool=f"pool-{i}", weight=0.1,
                     answer={"severity": ListSeverity.CRITICAL},
                     known={"collateral": True, "operator": "Paid", "isps": ("Gmail",)})
             for i in range(1, 4)]
    verdicts = listing_verdicts(*facts, severity="critical", collateral=True, min_weight=0, effect=None)
    assert [(verdict.group, verdict.severity) for verdict in verdicts] == [((("operator", "Paid"),), "info")]


def test_an_operator_is_no_list_and_a_list_without_a_known_operator_stands_for_itself():
    two = [listing(dnsbl=name, known={"operator": "Spamhaus"}) for name in ("zen", "sbl")]
    own = listing(dnsbl="own", known={"operator": None})
    assert [each.group for each in listing_verdicts(*two, own, by=["operator", "pool"])] == [
        (("operator", "Spamhaus"), ("pool", "shared")), (("dnsbl", "own"), ("pool", "shared")),
    ]
    assert [each.group for each in listing_verdicts(*two, own, by=["dnsbl"])] == [
        (("dnsbl", "zen"),), (("dnsbl", "sbl"),), (("dnsbl", "own"),),
    ]
    assert [each.group for each in listing_verdicts(own, by=["operator", "dnsbl"])] == [(("dnsbl", "own"),)]


def test_a_listing_is_grouped_by_every_dimension_the_table_names():
    fact = listing(dnsbl="zen", known={"operator": "Spamhaus"})
    for name in names(Use.LISTED):
        (verdict,) = listing_verdicts(fact, by=[name])
        assert dict(verdict.group).keys() <= {name, "target"}


def test_what_all_listings_of_a_group_have_in_common_is_said_beside_the_group():
    zen, sbl = (listing(dnsbl=name, known={"operator": "Spamhaus"}) for name in ("zen", "sbl"))
    (verdict,) = listing_verdicts(zen, by=["operator"])
    assert verdict.labels == {
        "dnsbl": "zen", "ip": "192.0.2.7", "operator": "Spamhaus", "pool": "shared", "target": "192.0.2.7",
    }
    (verdict,) = listing_verdicts(zen, sbl, by=["operator"])
    assert "dnsbl" not in verdict.labels


def test_a_message_names_the_list_the_meaning_and_who_acts_upon_it():
    isps = ["Gmail", "Yahoo", "Microsoft", "Apple", "GMX", "Orange"]
    (verdict,) = listing_verdicts(listing(known={"isps": tuple(isps)}))
    assert verdict.summary == (
        "192.0.2.7 listed on Big (spam source), acted upon by Gmail, Yahoo, Microsoft, Apple, GMX and 1 more"
    )


def test_heavier_lists_can_be_left_to_another_rule():
    assert listing_verdicts(listing(weight=0.7), min_weight=0.1, below_weight=0.7) == []
    assert len(listing_verdicts(listing(weight=0.69), min_weight=0.1, below_weight=0.7)) == 1


def test_a_page_for_removal_is_a_step_and_to_pay_never_is():
    seller = listing("192.0.2.8", dnsbl="seller", known={"delist_url": lambda _: None, "sells_removal": True, "operator": "big operator"})
    (verdict,) = listing_verdicts(listing(), seller)
    steps = next_steps(verdict.evidence, "find the cause")
    assert steps == [
        "find the cause",
        "do not pay Seller for removal: the listing ends by itself once its cause has",
        "once the cause is removed, ask Big for removal: https://big.example/removal",
    ]


@pytest.mark.parametrize(("ids", "steps"), [
    ([], ["ask the customer"]),
    (["sus-1"], ["ask the customer", "early only: vigie lift sus-1 --reason x"]),
    (["sus-1", "sus-2", "sus-3"], ["ask the customer", "early only: vigie lift sus-1 --reason x (and 2 more)"]),
])
def test_how_to_lift_names_what_is_in_force(ids, steps):
    assert next_steps(NOTHING, "ask the customer\nearly only: vigie lift <suspension> --reason x", ids) == steps
