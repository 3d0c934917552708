"""Complaints, then a listing, then blocks: what followed from what, and what did not."""

from datetime import UTC, datetime, timedelta

from monitor.incidents.chain import Happened, links

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def happened(name, signal, hours, subject=None, customers=(), targets=()):
    return Happened(name, name, signal, subject or {}, START + hours * HOUR, frozenset(customers), frozenset(targets))


COMPLAINTS = happened("complaints", "complaints", 0, {"customer": "acme", "stream": "news", "provider": "gmail"}, ["acme"])
LISTED = happened("listed", "listings", 20, {"operator": "big", "pool": "shared"}, ["acme"], ["192.0.2.1"])
BLOCKS = happened("blocks", "blocks", 30, {"ip": "192.0.2.1", "provider": "gmail"}, [], ["192.0.2.1"])


def pairs(causes, effects=None):
    return [(each.cause, each.effect) for each in links(causes, effects or causes)]


def test_complaints_lead_to_a_listing_and_that_to_blocks():
    assert pairs([COMPLAINTS, LISTED, BLOCKS]) == [("complaints", "listed"), ("listed", "blocks")]


def test_a_link_says_why_and_by_what():
    (link,) = links([COMPLAINTS], [LISTED])
    assert link.why == "complaints fired 20 hours before, of the same customer: acme"
    assert link.evidence == {
        "alike": "customer", "value": ["acme"], "seconds_before": 72000.0, "cause_rule": "complaints", "effect_rule": "listed",
    }  # fmt: skip


def test_nothing_follows_from_what_came_later_or_long_before():
    early = happened("listed", "listings", -1, customers=["acme"])
    late = happened("listed", "listings", 15 * 24, customers=["acme"])
    assert pairs([COMPLAINTS], [early, late]) == []


def test_another_customer_another_address_and_another_provider_are_another_story():
    assert pairs([COMPLAINTS], [happened("listed", "listings", 5, customers=["bolt"])]) == []
    assert pairs([LISTED], [happened("blocks", "blocks", 30, {"ip": "198.51.100.9", "provider": "gmail"}, targets=["198.51.100.9"])]) == []
    assert pairs([COMPLAINTS], [happened("blocks", "blocks", 5, {"provider": "yahoo"}, ["acme"])]) == []


def test_of_a_shared_pool_nobody_is_taken_to_be_the_cause():
    assert pairs([COMPLAINTS], [happened("blocks", "blocks", 5, {"ip": "192.0.2.7", "provider": "gmail"}, [])]) == []


def test_at_most_the_five_latest_causes_of_one_are_kept():
    causes = [happened(f"complaints-{number}", "complaints", number, customers=["acme"]) for number in range(9)]
    assert pairs(causes, [happened("listed", "listings", 9, customers=["acme"])]) == [
        (f"complaints-{number}", "listed") for number in (8, 7, 6, 5, 4)
    ]  # fmt: skip
