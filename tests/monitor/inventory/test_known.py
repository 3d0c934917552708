"""Unknown names are said, with the name that was meant; where nothing is listed, nothing is unknown."""

import pytest

from monitor.database.tables import Customer, Incident, Pool, SendingDomain, SendingIp, Stream
from monitor.facts import Store
from monitor.incidents.silences import silence
from monitor.inventory.known import KnownNames, read_names
from monitor.restrictions.suspensions import hold
from tests.monitor.conftest import T


@pytest.fixture
def filled(sqlite_store: Store) -> Store:
    with sqlite_store.session() as session:
        session.add_all([Customer(id="acme", name="Acme"), Customer(id="bolt", name="Bolt"), Pool(name="shared")])
        session.flush()
        session.add_all([Stream(customer="acme", name="news"), SendingIp(address="192.0.2.1", pool="shared"),
                         SendingDomain(domain="acme.example", customer="acme")])
    return sqlite_store


@pytest.mark.parametrize(("about", "faults"), [
    ({"customer": "acme", "stream": "news", "ip": "192.0.2.1", "pool": "shared"}, []),
    ({"customer": "acmee"}, ["customer: the inventory has no customer acmee — did you mean 'acme'?"]),
    ({"customer": "acme", "stream": "newz"}, ["stream: customer acme has no stream newz — did you mean 'news'?"]),
    ({"ip": "192.0.2.9"}, ["ip: the inventory has no ip 192.0.2.9 — did you mean '192.0.2.1'?"]),
    ({"domain": "mail.acme.example"}, []),
    ({"domain": "acme.exmaple"}, ["domain: the inventory has no domain acme.exmaple — did you mean 'acme.example'?"]),
    ({"provider": "gmial"}, ["provider: the inventory has no provider gmial — did you mean 'gmail'?"]),
    ({"provider": "small.example"}, []), ({"campaign": "whatever"}, []), ({"customer": None}, []),
])
def test_what_the_inventory_does_not_know_is_named(filled: Store, about, faults):
    with filled.reading_session() as session:
        assert read_names(session).unknown(about) == faults


def test_who_must_not_see_other_names_is_shown_none(filled: Store):
    with filled.reading_session() as session:
        assert read_names(session).unknown({"pool": "sharde"}, suggest=False) == ["pool: the inventory has no pool sharde"]


def test_an_empty_inventory_knows_all_names():
    assert KnownNames().unknown({"customer": "x", "stream": "y", "ip": "192.0.2.1", "pool": "z"}) == []


def test_nothing_is_held_or_silenced_by_a_name_nobody_has(filled: Store):
    by = {"actor": "dana", "reason": "a test", "now": T}
    with filled.session() as session:
        with pytest.raises(ValueError, match="no customer nosuch"):
            hold(session, scope={"customer": "nosuch"}, effect="hold", **by)
        with pytest.raises(ValueError, match="did you mean 'bolt'"):
            silence(session, matchers={"customer": "bolts"}, until=T.replace(year=T.year + 1), **by)
        with pytest.raises(ValueError, match="did you mean 'critical'"):
            silence(session, matchers={"severity": "critcal"}, until=T.replace(year=T.year + 1), **by)


NAMES = {"rule": {"ip-listed"}, "dnsbl": {"spamhaus-zen"}, "operator": {"spamhaus"}}


@pytest.mark.parametrize(("matchers", "says"), [
    ({"rule": "ip-listd"}, "rule: the configuration has no rule ip-listd — did you mean 'ip-listed'"),
    ({"dnsbl": "spamhaus-xen"}, "no dnsbl spamhaus-xen — did you mean 'spamhaus-zen'"),
    ({"operator": "spamhause", "rule": "ip-listed"}, "no operator spamhause — did you mean 'spamhaus'"),
])
def test_a_silence_names_rules_lists_and_operators_there_are(sqlite_store: Store, matchers, says):
    by = {"actor": "dana", "reason": "a test", "now": T, "until": T.replace(year=T.year + 1), "known": NAMES}
    with sqlite_store.session() as session:
        with pytest.raises(ValueError, match=says):
            silence(session, matchers=matchers, **by)
        with pytest.raises(ValueError, match=r"[a-z]$"):  # a customer's key learns no other name
            silence(session, matchers=matchers, by_customer="acme", **by)
        silence(session, matchers={"rule": "ip-listed", "dnsbl": "spamhaus-zen", "operator": "spamhaus"}, **by)


def test_what_an_incident_is_about_may_be_silenced_though_the_configuration_no_longer_has_it(sqlite_store: Store):
    with sqlite_store.session() as session:
        session.add(Incident(id="inc-1", rule="gone-rule", severity="warning", state="firing", subject={"operator": "gone"},
                             subject_key="operator=gone", open_key="operator=gone", started_at=T, judged_at=T))
        session.flush()
        for matchers in ({"rule": "gone-rule"}, {"operator": "gone"}):
            silence(session, matchers=matchers, actor="dana", reason="a test", now=T, until=T.replace(year=T.year + 1), known=NAMES)


def test_a_customers_key_learns_no_names_but_those_of_its_own_streams(filled: Store):
    by = {"actor": "acme", "reason": "a test", "now": T, "effect": "hold", "by_customer": "acme"}
    with filled.session() as session:
        hold(session, scope={"customer": "acme", "pool": "sharde"}, **by)
        with pytest.raises(ValueError, match="did you mean 'news'"):
            hold(session, scope={"customer": "acme", "stream": "newz"}, **by)
