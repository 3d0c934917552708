"""A key bound to one customer: what it may name, see and change."""

from datetime import timedelta

import pytest
from fastapi.routing import APIRoute

from collectors.observation import Batch, Observation, Subject, Trace
from monitor.api.app import ROUTERS
from monitor.config.settings import Api, SelfLift
from monitor.database.tables import (
    AbuseCase,
    Customer,
    Incident,
    Listing,
    Pool,
    ReportMailbox,
    Seed,
    SendingDomain,
    SendingIp,
    Silence,
    Stream,
    Suspension,
)
from monitor.incidents.silences import MOST_OF_A_CUSTOMER
from monitor.restrictions.suspensions import scope_key
from tests.monitor.api.running import NOW, running, seen

BOLTS = ("203.0.113.8", "203.0.113.9", "bolt-pool", "mail.bolt.example", "bolt-stream", "bolts-secret")
FOREIGN = {"customer": "bolt", "ip": "203.0.113.8", "pool": "bolt-pool", "domain": "mail.bolt.example"}
LATER = (NOW + timedelta(hours=1)).isoformat()


def suspension(name, scope, **more):
    return Suspension(id=name, scope=scope, scope_key=name, effect="hold", actor="rule", text="bolts-secret", since=NOW, **more)


@pytest.fixture
def world(vigie):
    fill(vigie)
    return vigie


def fill(vigie):
    with vigie.store.session() as session:
        session.add_all([Customer(id="acme", name="Acme"), Customer(id="bolt", name="Bolt")])
        session.flush()
        session.add_all([
            Stream(customer="acme", name="news"), Stream(customer="bolt", name="bolt-stream"),
            Pool(name="shared"), Pool(name="acme-pool", customer="acme"), Pool(name="bolt-pool", customer="bolt"),
        ])
        session.flush()
        session.add_all([
            SendingIp(address="192.0.2.1", pool="acme-pool"), SendingIp(address="198.51.100.1", pool="shared"),
            SendingIp(address="203.0.113.8", pool="bolt-pool"), SendingIp(address="203.0.113.9", customer="bolt"),
            SendingDomain(domain="news.acme.example", customer="acme"),
            SendingDomain(domain="mail.bolt.example", customer="bolt"),
            Seed(address="bolts-secret@example.com", provider="gmail", host="h", secret="s"),
            ReportMailbox(name="bolts-secret", host="h", username="u", secret="s"),
            suspension("sus-bolt", {"customer": "bolt"}), suspension("sus-ip", {"ip": "203.0.113.8"}),
            suspension("sus-pool", {"pool": "bolt-pool", "provider": "gmail"}),
            suspension("sus-domain", {"domain": "mail.bolt.example"}),
            Silence(id="sil-bolt", matchers={"customer": "bolt"}, actor="x", reason="bolts-secret", since=NOW,
                    until=NOW + timedelta(days=1)),
            Incident(id="inc-bolt", rule="bolts-secret", subject_key="b", open_key="b", subject={"customer": "bolt"},
                     state="firing", severity="info", started_at=NOW, judged_at=NOW),
            Listing(target="203.0.113.8", dnsbl="zen", phase="listed", first_seen_at=NOW, last_seen_at=NOW, checked_at=NOW),
            AbuseCase(id="abu-bolt", customer="bolt", kind="spam", state="open", subject="bolts-secret", opened_at=NOW,
                      newest_at=NOW, deadline_at=NOW),
        ])  # fmt: skip
    about = Subject("bolt", "bolt-stream", ip="203.0.113.8", domain="mail.bolt.example", provider="gmail")
    trace = Trace("complaint", NOW, about, recipient="ann@gmail.com", text="bolts-secret", message_id="<m@x>", verified=True)
    vigie.store.intake([Batch("test", "k", NOW, (Observation("delivered", about, NOW, 5.0),), (trace,))], NOW)
    vigie.client("operate").post("/v1/suppressions", json={"customer": "bolt", "address": "bo@x.example", "text": "bolts-secret"})
    vigie.gate.refresh(vigie.store, NOW, everything=True)


GETS = sorted({route.path for module in ROUTERS for route in module.router.routes
               if isinstance(route, APIRoute) and "GET" in route.methods} - {"/metrics"})
IDS = {"incident_id": "inc-bolt", "case_id": "abu-bolt"}
ITEMS = {"ips": "203.0.113.8", "pools": "bolt-pool", "domains": "mail.bolt.example", "customers": "bolt",
         "streams": "bolt/bolt-stream", "seeds": "bolts-secret@example.com", "mailboxes": "bolts-secret", "providers": "x"}
ASKED = {"measure": "delivered", "message_id": "m@x", "state": "all", "show": "all", "lifted": "true", "ended": "true",
         "cleared": "true", "settled": "true"}


@pytest.mark.parametrize("path", GETS)
def test_a_customers_key_sees_nothing_of_another_whatever_it_asks(world, path):
    own = world.client("read", "gate", "operate", "events", customer="acme")
    kinds = ITEMS if "{kind}" in path else {"": ""}
    for kind, key in kinds.items():
        url = path.replace("{kind}", kind).replace("{key:path}", key)
        for name, value in IDS.items():
            url = url.replace(f"{{{name}}}", value)
        for extra in ({}, *({name: value} for name, value in FOREIGN.items()), {"target": "203.0.113.8"}, {"stream": "bolt-stream"},
                      {"rule": "bolts-secret"}, {"recipient": "ann@gmail.com"}, {"recipient": "bo@x.example"}):
            answer = seen(own, own.build_request("GET", url, params=ASKED | extra))
            assert answer.status_code in {200, 403, 404, 422}, answer.text
            shown = answer.text.replace(url, "").replace(key or "\0", "") if answer.status_code != 200 else answer.text
            assert not [each for each in BOLTS if each in shown], (url, extra, answer.text)


@pytest.mark.parametrize(("dimension", "value"), FOREIGN.items())
def test_no_call_that_acts_takes_what_is_anothers(world, dimension, value):
    own = world.client("operate", "gate", "events", customer="acme")
    named = {"customer": "acme"} | {dimension: value}
    assert own.post("/v1/decision", json=named).status_code == 403
    assert own.post("/v1/decisions", json=[{"customer": "acme"}, named]).status_code == 403
    assert own.post("/v1/suspensions", json={"scope": named, "reason": "x"}).status_code == 403
    assert own.post("/v1/silences", json={"matchers": named, "until": LATER, "reason": "x"}).status_code == 403
    if dimension != "pool":
        event = {"at": NOW.isoformat(), "outcome": "complaint", "count": 500, "recipient_domain": "gmail.com"}
        answer = own.post("/v1/events/generic", json=[event | {dimension: value}, event | {"ip": "192.0.2.1"}]).json()
        assert (answer["accepted"], answer["rejected"][0]["error"]) == (1, f"{dimension}: this key is bound to acme")


@pytest.mark.parametrize("spelling", ["203.0.113.8", "::ffff:203.0.113.8"])
def test_another_spelling_is_the_same_address(world, spelling):
    own = world.client("gate", "operate", customer="acme")
    assert own.post("/v1/decision", json={"customer": "acme", "ip": spelling}).status_code == 403
    for domain in ("MAIL.bolt.example.", "a.b.mail.bolt.example"):
        assert own.post("/v1/suspensions", json={"scope": {"customer": "acme", "domain": domain}, "reason": "x"}).status_code == 403


def test_what_is_its_own_shared_or_not_in_the_inventory_may_be_named(world):
    own = world.client("gate", "operate", "events", customer="acme")
    for about in ({"ip": "192.0.2.1"}, {"ip": "198.51.100.1"}, {"pool": "shared"}, {"domain": "news.acme.example"}, {"ip": "192.0.2.99"}):
        assert own.post("/v1/decision", json={"customer": "acme"} | about).status_code == 200
        assert own.post("/v1/suspensions", json={"scope": {"customer": "acme"} | about, "reason": "x"}).status_code == 201


def test_the_snapshot_of_a_customer_keeps_what_can_hold_it_back(world):
    with world.store.session() as session:
        session.add_all([suspension("sus-all", {"provider": "gmail"}), suspension("sus-shared", {"ip": "198.51.100.1"})])
    world.gate.refresh(world.store, NOW, everything=True)
    snapshot = world.client("gate", customer="acme").get("/v1/gate/snapshot").json()
    assert {held["id"] for held in snapshot["restrictions"]} == {"sus-all", "sus-shared"}
    assert snapshot["pools"] == {"192.0.2.1": "acme-pool", "198.51.100.1": "shared"}


def test_foreign_ids_and_ids_of_nothing_are_answered_alike(world):
    own = world.client("read", "operate", customer="acme")
    calls = [
        ("DELETE", "/v1/suspensions/{}?reason=x", "sus-bolt"), ("DELETE", "/v1/silences/{}?reason=x", "sil-bolt"),
        ("GET", "/v1/incidents/{}", "inc-bolt"), ("GET", "/v1/abuse/cases/{}", "abu-bolt"),
        ("GET", "/v1/inventory/ips/{}", "203.0.113.8"), ("DELETE", "/v1/suppressions/{}?reason=x", "1"),
    ]
    for method, path, foreign in calls:
        nothing = "203.0.113.77" if "." in foreign else "99"
        answers = [own.request(method, path.format(each)) for each in (foreign, nothing)]
        assert [answer.status_code for answer in answers] == [404, 404]
        texts = [answer.json()["detail"].replace(each, "") for answer, each in zip(answers, (foreign, nothing), strict=True)]
        assert texts[0] == texts[1]
    assert world.client("read").get("/v1/suspensions").json()[0]["lifted_at"] is None


def test_a_customer_lifts_what_it_put_on_and_the_providers_holds_only_where_a_setting_says_so(store):
    for allowed in (False, True):
        with running(store, settings=Api(customers_lift=allowed)) as vigie:
            if not allowed:
                with store.session() as session:
                    session.add(Customer(id="acme", name="Acme"))
            own, ours = vigie.client("operate", customer="acme"), vigie.client("operate")
            scope = {"scope": {"customer": "acme"}, "reason": "x"}
            made = [client.post("/v1/suspensions", json=scope).json()["id"] for client in (own, ours)]
            lifts = [own.delete(f"/v1/suspensions/{each}", params={"reason": "x"}).status_code for each in made]
            assert lifts == [200, 200 if allowed else 403]
            assert ours.delete(f"/v1/suspensions/{made[0]}", params={"reason": "x"}).status_code == 200


def test_a_customer_lifts_what_a_rule_holds_of_its_campaign_under_the_conditions_stated(store):
    def held(name, rule="complaint-campaign", **scope):
        scope = {"customer": "acme", **scope}
        with store.session() as session:
            session.add(Suspension(id=name, scope=scope, scope_key=scope_key(scope), effect="hold", rule=rule, actor=rule or "dana",
                                   text="x", since=NOW))
        return name

    conditions = SelfLift(cool_down=timedelta(hours=1), at_most=1, within=timedelta(days=7))
    with running(store, settings=Api(self_lift=conditions)) as vigie:
        acme, bolt = vigie.client("operate", customer="acme"), vigie.client("operate", customer="bolt")
        spring, again = held("sus-1", campaign="spring", stream="news"), held("sus-2", campaign="spring")
        stream, ours = held("sus-3", stream="news"), held("sus-4", rule=None, campaign="spring")

        def lift(suspension, client=acme, **more):
            answer = client.delete(f"/v1/suspensions/{suspension}", params={"reason": "x", **more})
            return answer.status_code, answer.json().get("detail", "")

        changed = {"list_changed": True}
        assert lift(spring, bolt, **changed)[0] == 404
        assert "cools down first" in lift(spring, **changed)[1]
        vigie.clock.move(hours=1)
        assert "list of recipients was changed" in lift(spring)[1]
        assert lift(spring, **changed)[0] == 200
        assert "lifted 1 times within 7 days" in lift(again, **changed)[1]
        assert [lift(each, **changed)[0] for each in (stream, ours)] == [403, 403]
        assert lift(spring, **changed)[0] == 200, "lifting what is lifted changes nothing"
        vigie.clock.move(days=7, seconds=1)
        assert lift(again, **changed)[0] == 200


def test_what_a_customer_says_of_a_shared_ip_or_domain_counts_against_nobody_else(world):
    with world.store.session() as session:
        session.add(SendingDomain(domain="mail.shared.example"))
    world.gate.refresh(world.store, NOW, everything=True)
    event = {"at": NOW.isoformat(), "outcome": "complaint", "count": 500, "recipient": "ann@gmail.com", "message_id": "<1@x>"}
    events = [event | {"ip": "198.51.100.1"}, event | {"domain": "a.mail.shared.example"}, event | {"ip": "192.0.2.1"}]
    answer = world.client("events", customer="acme").post("/v1/events/generic", json=events).json()
    assert answer["accepted"] == 3
    assert answer["warnings"] == [
        "domain: a.mail.shared.example is shared: counted without it", "ip: 198.51.100.1 is shared: counted without it",
    ]
    readings = world.client("read").get("/v1/readings", params={"measure": "complaint"}).json()
    assert {(each["subject"].get("ip"), each["subject"].get("domain")): each["value"] for each in readings} == {
        (None, None): 1000, ("192.0.2.1", None): 500}
    platform = world.client("events").post("/v1/events/generic", json=events[0] | {"customer": "acme"}).json()
    assert "warnings" not in platform


def test_a_customer_has_so_many_silences_in_force_and_no_more(world):
    """Each is asked about at every pass, and may hold patterns."""
    provider, own = (world.client("read", "operate", customer=customer) for customer in (None, "acme"))
    silence = {"actor": "x", "reason": "x", "matchers": {"customer": "acme"}, "patterns": [], "since": NOW, "until": NOW + timedelta(hours=1)}
    with world.store.session() as session:
        session.add_all([Silence(id=f"sil-{number}", **silence) for number in range(MOST_OF_A_CUSTOMER - 1)])
        session.add(Silence(id="sil-over", **{**silence, "until": NOW}))
    wanted = {"matchers": {"customer": "acme"}, "until": LATER, "reason": "x"}
    assert own.post("/v1/silences", json=wanted).status_code == 201
    refused = own.post("/v1/silences", json=wanted)
    assert (refused.status_code, refused.json()["detail"][:33]) == (422, "100 silences of acme are in force")
    assert provider.post("/v1/silences", json=wanted).status_code == 201
    never = provider.post("/v1/silences", json={**wanted, "until": "9999-01-01T00:00:00Z"})
    assert never.json()["errors"] == [{"at": "body.until", "error": "a time between 1970 and 2100 is wanted"}]


@pytest.mark.parametrize("path", ["/v1/silences/{}", "/api/v2/silence/{}"])
@pytest.mark.parametrize("may", [False, True])
def test_a_customer_ends_the_silences_it_put_on_and_the_providers_only_where_a_setting_says_so(store, may, path):
    with running(store, settings=Api(customers_lift=may)) as vigie:
        fill(vigie)
        wanted = {"matchers": {"customer": "acme"}, "until": LATER, "reason": "x"}
        own, provider = vigie.client("operate", "read", customer="acme"), vigie.client("operate")
        theirs, its = (each.post("/v1/silences", json=wanted).json()["id"] for each in (provider, own))
        ends = [own.delete(path.format(each), params={"reason": "x"}).status_code for each in (its, theirs)]
        assert ends == [200, 200 if may else 403]
        standing = [each["id"] for each in own.get("/v1/silences").json()]
        assert standing == ([] if may else [theirs])


def test_a_customers_key_puts_on_a_hundred_suspensions_and_no_more(world, monkeypatch):
    monkeypatch.setattr("monitor.restrictions.suspensions.MOST_OF_A_CUSTOMER", 3)
    own = world.client("operate", customer="acme")
    made = [own.post("/v1/suspensions", json={"scope": {"customer": "acme", "campaign": f"c{number}"}, "reason": "x"}) for number in range(3)]
    assert [each.status_code for each in made] == [201] * 3
    refused = own.post("/v1/suspensions", json={"scope": {"customer": "acme", "campaign": "c4"}, "reason": "x"})
    assert refused.status_code == 422
    assert "3 suspensions of acme are in force: lift some" in refused.json()["detail"]
    own.delete(f"/v1/suspensions/{made[0].json()['id']}", params={"reason": "y"})
    assert own.post("/v1/suspensions", json={"scope": {"customer": "acme", "campaign": "c4"}, "reason": "x"}).status_code == 201
    assert world.client("operate").post("/v1/suspensions", json={"scope": {"customer": "acme"}, "reason": "x"}).status_code == 201
