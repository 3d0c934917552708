"""Which identifier wins, what each of them says, and what none of them may be led to say."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.contract import Attribution, Identifiers
from collectors.observation import Subject, Trace
from monitor.facts import Store
from monitor.intake.attribution import BY_IDENTIFIER, directory
from monitor.intake.context import RunContext
from monitor.inventory.difference import planned
from monitor.inventory.items import Customer, Domain, Inventory, Ip, Provider, Stream
from monitor.inventory.rows import apply_difference, read_inventory
from monitor.sender.recipient import customer_key, recipient_ref
from monitor.sender.token import keys_of, make_token
from tests.monitor.conftest import T, batch, counted


def inventory() -> Inventory:
    inventory = Inventory()
    for kind, item in (
        ("customers", Customer(id="acme", id_headers={"X-Mandant": "4711"})),
        ("customers", Customer(id="bolt")),
        ("streams", Stream(customer="acme", name="newsletter")),
        ("streams", Stream(customer="acme", name="receipts")),
        ("streams", Stream(customer="bolt", name="newsletter")),
        ("domains", Domain(domain="news.example.com", customer="acme", stream="newsletter")),
        ("domains", Domain(domain="shared.example.com")),
        ("ips", Ip(address="192.0.2.7", customer="bolt")),
        ("ips", Ip(address="192.0.2.8")),
    ):
        inventory = inventory.put(kind, item)
    return inventory


KEY = customer_key(b"a master key for tests", "acme")
ANN = recipient_ref(KEY, "ann@example.org")
TOKEN = make_token(KEY, "acme", "receipts", "autumn", ANN)


class Recorded:
    """Records of one message and one recipient, both Bolt's."""

    def of_message(self, message_id: str) -> Attribution | None:
        return Attribution(customer="bolt", recipient_hash="h", recipient_ref="r") if message_id == "<1@example.net>" else None

    def of_recipient(self, address: str) -> Attribution | None:
        return Attribution(customer="bolt") if address == "ann@example.org" else None

    def campaigns(self, customer: str) -> tuple[str, ...]:
        return ("spring", "autumn") if customer == "acme" else ()


KNOWN = directory(inventory(), keys_of([("acme", KEY)]), Recorded())

# every identifier by itself, the surest first → what it says; each identifier says another customer than its neighbours
SAYS = {
    "token": ({"tokens": ("bounce", TOKEN.upper())}, Attribution(customer="acme", stream="receipts", campaign="autumn", recipient_ref=ANN.hex())),
    "cfbl_feedback_id": ({"headers": {"cfbl-feedback-id": "summer : newsletter\r\n :bolt:x"}}, Attribution(customer="bolt", stream="newsletter", campaign="summer")),
    "message_id": ({"message_id": "<1@example.net>"}, Attribution(customer="bolt", recipient_hash="h", recipient_ref="r")),
    "feedback_id": ({"headers": {"feedback-id": "summer:newsletter:acme:x"}}, Attribution(customer="acme", stream="newsletter", campaign="summer")),
    "header": ({"headers": {"x-mandant": " 4711 "}}, Attribution(customer="acme")),
    "id": ({"tokens": ("bounce+bolt.newsletter",)}, Attribution(customer="bolt", stream="newsletter")),
    "domain": ({"domain": "mail.NEWS.example.com"}, Attribution(customer="acme", stream="newsletter", domain="news.example.com")),
    "recipient": ({"recipient": "ann@example.org"}, Attribution(customer="bolt", recipient="ann@example.org")),
    "ip": ({"source_ip": "192.0.2.7"}, Attribution(customer="bolt", ip="192.0.2.7")),
}


def together(*identifiers: dict) -> Identifiers:
    """Identifiers that all stand in one report."""
    merged: dict = {"headers": {}, "tokens": ()}
    for each in identifiers:
        merged = merged | each | {"headers": merged["headers"] | each.get("headers", {}), "tokens": merged["tokens"] + each.get("tokens", ())}
    return Identifiers(**merged)


@pytest.mark.parametrize("how", SAYS)
def test_each_identifier_by_itself_says_whose_it_is(how):
    identifier, says = SAYS[how]
    assert KNOWN.attribute(together(identifier)) == replace(says, how=how)


def test_every_identifier_is_in_the_table_in_its_order():
    assert list(BY_IDENTIFIER) == list(SAYS)


@pytest.mark.parametrize("how", SAYS)
def test_the_surest_identifier_wins_over_all_that_are_weaker(how):
    place = list(SAYS).index(how)
    attribution = KNOWN.attribute(together(*(identifier for identifier, _ in list(SAYS.values())[place:])))
    says = SAYS[how][1]
    assert (attribution.how, attribution.customer, attribution.stream, attribution.campaign) == (how, says.customer, says.stream, says.campaign)
    assert (attribution.recipient_ref, attribution.recipient_hash) == (says.recipient_ref, says.recipient_hash)


def test_what_is_reported_stands_beside_what_our_token_says():
    attribution = KNOWN.attribute(together(SAYS["token"][0], {"recipient": "forwarded@example.net", "source_ip": "192.0.2.8"}))
    assert (attribution.recipient, attribution.recipient_ref, attribution.ip) == ("forwarded@example.net", ANN.hex(), "192.0.2.8")


@pytest.mark.parametrize("place", ["return path", "X-Vigie-Token", "CFBL-Feedback-ID"])
def test_a_token_is_found_wherever_it_may_stand(place):
    folded = f"{TOKEN[:20]}\r\n {TOKEN[20:]}"
    identifiers = Identifiers(tokens=(TOKEN,)) if place == "return path" else Identifiers(headers={place.lower(): folded})
    assert KNOWN.attribute(identifiers).how == "token"


@pytest.mark.parametrize("token", [
    TOKEN[:-1], TOKEN[::-1], "redacted", make_token(customer_key(b"a key given up", "acme"), "acme", "receipts"), make_token(KEY, "bolt"),
], ids=["cut", "garbled", "redacted", "of a key given up", "forged for another"])
def test_a_token_that_is_none_attributes_nothing_and_leaves_the_word_to_the_next_identifier(token):
    assert KNOWN.attribute(Identifiers(tokens=(token,))) == Attribution()
    assert KNOWN.attribute(Identifiers(tokens=(token,), source_ip="192.0.2.7")).how == "ip"


def test_a_token_of_a_stream_or_campaign_nobody_knows_any_more_still_says_the_customer():
    attribution = KNOWN.attribute(Identifiers(tokens=(make_token(KEY, "acme", "given up", "long ago"),)))
    assert (attribution.how, attribution.customer, attribution.stream, attribution.campaign, attribution.recipient_ref) == ("token", "acme", None, None, None)


def test_what_is_not_ours_is_not_kept_and_what_is_shared_is_ours_though_nobodys():
    stranger = Identifiers(source_ip="198.51.100.9", domain="example.net", message_id="<x@example.net>", recipient="bob@example.net",
                     headers={"x-mandant": "4712", "feedback-id": "a:b:c:d"}, tokens=("bounce",))
    assert KNOWN.attribute(stranger) == Attribution(recipient="bob@example.net")
    shared = KNOWN.attribute(Identifiers(source_ip="192.0.2.8", domain="shared.example.com"))
    assert (shared.customer, shared.ip, shared.domain, shared.how) == (None, "192.0.2.8", "shared.example.com", "ip")


@given(st.lists(st.text(max_size=60), max_size=8), st.dictionaries(st.text(max_size=20), st.text(max_size=60), max_size=4), st.text(max_size=30))
def test_whatever_a_report_says_nothing_raises(tokens, headers, text):
    KNOWN.attribute(Identifiers(tuple(tokens), headers, text, text, text, text, text))


# ── with the records of a real store ──


@pytest.fixture
def context(store: Store):
    with store.session() as session:
        apply_difference(session, planned(read_inventory(session), inventory()))
    return lambda at=T: RunContext(store, "feedback_loop", {}, threading.Event(), at)


def sent(key: str, customer: str = "acme", *, source: str = "events/kumomta", recipient: str = "ann@example.org",
         message_id: str = "1@example.com"):
    subject = Subject(customer=customer, stream="newsletter", campaign="autumn")
    return batch(key, counted(T, campaign="autumn", customer=customer), source=source,
                 traces=(Trace("delivery", T, subject, recipient=recipient, message_id=message_id),))


def test_a_message_our_mta_recorded_is_known_with_or_without_brackets_and_names_its_recipient(store, context):
    store.intake([sent("1")], T)
    for spelling in ("<1@example.com>", " 1@example.com"):
        attribution = context().attribute(Identifiers(message_id=spelling))
        assert (attribution.how, attribution.customer, attribution.stream, attribution.campaign) == ("message_id", "acme", "newsletter", "autumn")
        assert attribution.recipient_hash == store.recipient_hash("ann@example.org")
        assert attribution.recipient_ref == store.recipient_ref("acme", "ann@example.org")
        assert attribution.recipient is None


def test_a_message_to_several_recipients_names_none_of_them_and_one_of_two_customers_nobody(store, context):
    store.intake([sent("1"), sent("2", recipient="bob@example.org")], T)
    attribution = context().attribute(Identifiers(message_id="<1@example.com>"))
    assert (attribution.customer, attribution.recipient_hash, attribution.recipient_ref) == ("acme", None, None)
    store.intake([sent("3", customer="bolt")], T)
    assert context().attribute(Identifiers(message_id="<1@example.com>")).how is None


def test_what_a_report_said_of_a_message_vouches_for_no_other_report(store, context):
    store.intake([sent("1", source="mail")], T)
    assert context().attribute(Identifiers(message_id="<1@example.com>", recipient="ann@example.org")).how is None


def test_a_recipient_names_the_customer_only_lately_and_only_where_there_is_just_one(store, context):
    store.intake([sent("1")], T)
    identifiers = Identifiers(recipient="Ann@example.org")
    assert (context().attribute(identifiers).how, context().attribute(identifiers).customer) == ("recipient", "acme")
    assert context(T + timedelta(days=31)).attribute(identifiers).how is None
    store.intake([sent("2", customer="bolt", message_id="2@example.com")], T)
    assert context().attribute(identifiers).how is None


def test_a_token_made_with_the_stores_key_is_read_with_stream_and_campaign(store, context):
    store.intake([sent("1")], T)
    key = store.customer_key("acme")
    token = make_token(key, "acme", "newsletter", "autumn", recipient_ref(key, "ann@example.org"))
    attribution = context().attribute(Identifiers(tokens=(token,)))
    assert (attribution.how, attribution.customer, attribution.stream, attribution.campaign) == ("token", "acme", "newsletter", "autumn")
    assert attribution.recipient_ref == store.recipient_ref("acme", "Ann@Example.org")


def test_the_recipients_provider_may_be_one_of_the_inventory():
    whose = directory(inventory().put("providers", Provider(id="Town", domains=("town.example",)))).attribute
    assert whose(Identifiers(recipient="ann@town.example")).provider == "town"
    assert KNOWN.attribute(Identifiers(recipient="ann@town.example")).provider is None
