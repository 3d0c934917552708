"""What the gate knows follows the database."""

from monitor.database.tables import MailboxProvider
from monitor.facts import Store
from monitor.gate import decide, read_request
from monitor.restrictions import suspensions
from monitor.restrictions.follow import GateIndex
from tests.monitor.conftest import T


def test_a_hold_on_a_provider_of_the_inventory_stops_mail_to_its_domains(store: Store):
    with store.session() as session:
        session.add(MailboxProvider(id="Town", name="Town", domains=["town.example", ".schools.example"]))
        suspensions.hold(session, scope={"provider": "town"}, effect="hold", actor="dana", reason="a test", now=T)
    index = GateIndex().refresh(store, T)
    answers = {
        domain: decide(read_request({"customer": "acme", "recipient_domain": domain}), index, T).decision
        for domain in ("town.example", "a.schools.example", "schools.example", "gmail.com", "village.example")
    }
    assert answers == {
        "town.example": "hold", "a.schools.example": "hold", "schools.example": "hold", "gmail.com": "send",
        "village.example": "send",
    }


def test_a_hold_on_a_domain_of_a_provider_of_the_inventory_is_one_on_the_provider(store: Store):
    with store.session() as session:
        session.add(MailboxProvider(id="town", name="Town", domains=["town.example"]))
        suspensions.hold(session, scope={"provider": "town.example"}, effect="hold", actor="dana", reason="a test", now=T)
    index = GateIndex().refresh(store, T)
    assert decide(read_request({"customer": "acme", "provider": "town"}), index, T).decision == "hold"
