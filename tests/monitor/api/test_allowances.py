"""Allowances over HTTP: exactly the shapes senders rely on, errors, and a customer's key for its own only."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError

from monitor.api.routes.allowances import Reserve
from monitor.gate.request import KNOWN_FIELDS
from monitor.intake.consequences import open_store
from monitor.inventory.difference import difference
from monitor.inventory.items import Customer, Inventory, Ip, Pool
from monitor.inventory.rows import apply_difference, read_inventory
from monitor.warmup.plans import Plan
from monitor.warmup.rows import Start, start, stop
from tests.monitor.api.running import NOW, Vigie, running

ASK = {"customer": "acme", "ip": "192.0.2.7", "recipient_domain": "gmail.com", "count": 500, "sender": "mta-1"}
PLAN = Plan(name="ours", per_day=(1000, 2000), source="this test")


@pytest.fixture
def warming(vigie: Vigie) -> Vigie:
    items = {
        "customers": {each: Customer(id=each) for each in ("acme", "bolt")},
        "pools": {each: Pool(name=each, customer=owner) for each, owner in (("acme-new", "acme"), ("acme-old", "acme"), ("bolt", "bolt"))},
        "ips": {address: Ip(address=address, pool=pool)
                for address, pool in (("192.0.2.7", "acme-new"), ("192.0.2.9", "acme-old"), ("198.51.100.1", "bolt"))},
    }
    with vigie.store.session() as session:
        apply_difference(session, difference(read_inventory(session), Inventory(**items)))
    with vigie.store.session() as session:
        start(session, Start("192.0.2.7", None, "gmail", PLAN, "America/Los_Angeles", "acme-old"), actor="ann", reason="new", now=NOW)
    vigie.gate.refresh(vigie.store, NOW, everything=True)
    return vigie


def test_a_grant_and_its_return_have_the_shapes_of_the_contract(warming):
    client = warming.client("gate")
    answer = client.post("/v1/allowances/grant", json=ASK)
    assert answer.status_code == 200
    made = answer.json()
    [allowance] = made.pop("allowances")
    assert made == {
        "grant": made["grant"], "granted": 500, "expires_at": "2026-01-02T03:09:05Z", "retry_after_seconds": None, "pool": None,
    }  # fmt: skip
    assert made["grant"].startswith("gr-")
    assert allowance == {
        "id": allowance["id"], "scope": {"ip": "192.0.2.7", "provider": "gmail"}, "cap": 1000, "left": 500,
        "resets_at": "2026-01-02T08:00:00Z",
    }  # fmt: skip
    assert allowance["id"].startswith("alw-")
    returned = client.post("/v1/allowances/return", json={"grant": made["grant"], "used": 420})
    assert returned.json() == {
        "grant": made["grant"], "granted": 500, "used": 420, "returned": 80, "late": False, "allowances": [allowance | {"left": 580}],
    }  # fmt: skip


def test_what_is_used_up_names_the_pool_and_when_to_come_again(warming):
    client = warming.client("gate")
    for count in (500, 500, 0):
        answer = client.post("/v1/allowances/grant", json=ASK).json()
        assert answer["granted"] == count
    assert (answer["grant"], answer["expires_at"], answer["pool"]) == (None, None, "acme-old")
    assert 290 <= answer["retry_after_seconds"] <= 310
    assert answer["allowances"][0]["left"] == 0


def test_no_allowance_applies_and_all_is_granted(warming):
    answer = warming.client("gate").post("/v1/allowances/grant", json=ASK | {"recipient_domain": "yahoo.com"})
    assert answer.json() == {
        "grant": None, "granted": 500, "expires_at": None, "retry_after_seconds": None, "pool": None, "allowances": [],
    }  # fmt: skip


WRONG = [
    {"sender": None}, {"sender": ""}, {"sender": "x" * 65}, {"ttl_seconds": 4}, {"ttl_seconds": 3601}, {"ttl_seconds": "300"},
    {"count": 0}, {"count": 1.5}, {"count": True}, {"ip": "nothing"}, {"colour": "red"}, {"customer": None}, {"recipient_domain": None},
]  # fmt: skip


def test_what_is_no_request_is_refused_and_reserves_nothing(warming):
    client = warming.client("gate")
    for wrong in WRONG:
        body = {name: value for name, value in (ASK | wrong).items() if value is not None}
        answer = client.post("/v1/allowances/grant", json=body)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), wrong
    assert client.post("/v1/allowances/grant", json=ASK | {"count": 1000}).json()["granted"] == 1000


def test_a_return_of_nothing_known_is_refused(warming):
    client = warming.client("gate")
    for body, status in (
        ({"grant": "gr-nothing", "used": 1}, 404), ({"grant": "gr-nothing", "used": -1}, 422), ({"grant": "gr-nothing"}, 422),
        ({"grant": None, "used": 1}, 422), ({"grant": "gr-nothing", "used": 1, "more": 1}, 422), ({"grant": "gr-\0", "used": 1}, 422),
    ):  # fmt: skip
        assert client.post("/v1/allowances/return", json=body).status_code == status, body


def test_a_return_is_repeated_alike_and_conflicts_with_another_number(warming):
    client = warming.client("gate")
    grant = client.post("/v1/allowances/grant", json=ASK).json()["grant"]
    assert client.post("/v1/allowances/return", json={"grant": grant, "used": 501}).status_code == 422
    first = client.post("/v1/allowances/return", json={"grant": grant, "used": 400})
    client.post("/v1/allowances/grant", json=ASK)
    again = client.post("/v1/allowances/return", json={"grant": grant, "used": 400})
    assert (again.status_code, again.json()) == (200, first.json())
    assert client.post("/v1/allowances/return", json={"grant": grant, "used": 401}).status_code == 409


def test_a_late_return_says_so(warming):
    client = warming.client("gate")
    grant = client.post("/v1/allowances/grant", json=ASK | {"ttl_seconds": 5}).json()["grant"]
    warming.clock.now += timedelta(seconds=7)
    answer = client.post("/v1/allowances/return", json={"grant": grant, "used": 100}).json()
    assert (answer["late"], answer["returned"], answer["used"]) == (True, 0, 100)
    assert answer["allowances"][0]["left"] == 900


def test_an_idempotency_key_reserves_once_and_is_refused_with_another_body(warming):
    client, key = warming.client("gate"), {"Idempotency-Key": "mta-1/7"}
    first, again = (client.post("/v1/allowances/grant", json=ASK, headers=key) for _ in range(2))
    assert first.json() == again.json()
    assert client.post("/v1/allowances/grant", json=ASK | {"count": 1}, headers=key).status_code == 422
    assert client.post("/v1/allowances/grant", json=ASK | {"count": 1000}).json()["granted"] == 500


def test_a_customers_key_asks_and_returns_for_itself_alone(warming):
    acme, bolt = warming.client("gate", customer="acme"), warming.client("gate", customer="bolt")
    grant = acme.post("/v1/allowances/grant", json=ASK).json()["grant"]
    assert bolt.post("/v1/allowances/grant", json=ASK).status_code == 403
    assert bolt.post("/v1/allowances/grant", json=ASK | {"customer": "bolt"}).status_code == 403
    assert bolt.post("/v1/allowances/return", json={"grant": grant, "used": 1}).status_code == 404
    assert acme.post("/v1/allowances/return", json={"grant": grant, "used": 1}).json()["returned"] == 499


def test_a_key_without_the_scope_may_not(warming):
    assert warming.client("read").post("/v1/allowances/grant", json=ASK).status_code == 403
    assert warming.client().post("/v1/allowances/grant", json=ASK).status_code == 401


def test_standings_are_shown_to_whoever_may_see_them(warming):
    [shown] = warming.client("read").get("/v1/standings").json()
    assert {name: shown[name] for name in ("ip", "domain", "provider", "plan", "step", "standing", "cap", "used", "granted", "left")} == {
        "ip": "192.0.2.7", "domain": None, "provider": "gmail", "plan": "ours", "step": 1, "standing": "cold", "cap": 1000, "used": 0,
        "granted": 0, "left": 1000,
    }  # fmt: skip
    assert len(warming.client("read", customer="acme").get("/v1/standings").json()) == 1
    assert warming.client("read", customer="bolt").get("/v1/standings").json() == []


def decided(warming, client):
    """A decision once the gate has followed what was granted."""
    warming.gate.refresh(warming.store, warming.clock())
    return client.post("/v1/decision", json={name: ASK[name] for name in ("customer", "ip", "recipient_domain")}).json()


def test_the_decision_says_what_is_left_and_holds_at_nothing(warming):
    client = warming.client("gate")
    assert decided(warming, client)["allowance_left"] == 1000
    grant = client.post("/v1/allowances/grant", json=ASK).json()["grant"]
    assert decided(warming, client)["allowance_left"] == 500
    client.post("/v1/allowances/grant", json=ASK | {"ttl_seconds": 60})
    held = decided(warming, client)
    assert (held["decision"], held["allowance_left"], held["pool"]) == ("hold", 0, "acme-old")
    assert [reason["kind"] for reason in held["reasons"]] == ["allowance"]
    [shown] = client.get("/v1/gate/snapshot").json()["allowances"]
    assert {name: shown[name] for name in ("scope", "cap", "exhausted", "pool", "resets_at")} == {
        "scope": {"ip": "192.0.2.7", "provider": "gmail"}, "cap": 1000, "exhausted": True, "pool": "acme-old",
        "resets_at": "2026-01-02T08:00:00Z",
    }  # fmt: skip
    client.post("/v1/allowances/return", json={"grant": grant, "used": 100})
    assert decided(warming, client)["allowance_left"] == 400
    warming.clock.now += timedelta(seconds=62)  # the other sender died
    assert decided(warming, client)["allowance_left"] == 900
    assert client.get("/v1/gate/snapshot").json()["allowances"][0]["exhausted"] is False


def test_a_stopped_warm_up_leaves_nothing_in_the_decision(warming):
    client = warming.client("gate")
    assert decided(warming, client)["allowance_left"] == 1000
    with warming.store.session() as session:
        stop(session, {"ip": "192.0.2.7", "provider": "gmail"}, actor="ann", reason="sold", now=NOW)
    assert decided(warming, client)["allowance_left"] is None
    assert client.get("/v1/gate/snapshot").json()["allowances"] == []


def test_an_allowance_of_another_customers_ip_is_not_in_its_snapshot(warming):
    own = warming.client("gate", customer="acme").get("/v1/gate/snapshot").json()["allowances"]
    assert len(own) == 1
    assert warming.client("gate", customer="bolt").get("/v1/gate/snapshot").json()["allowances"] == []


def test_the_fields_are_those_of_a_decision_request_and_two_more():
    assert set(Reserve.model_fields) == KNOWN_FIELDS | {"sender", "ttl_seconds"}


def test_with_the_database_away_nothing_is_granted(warming):
    def away():
        raise OperationalError("insert", {}, Exception("gone"))

    client, session = warming.client("gate"), warming.store.session
    warming.store.session = away
    for path, body in (("grant", ASK), ("return", {"grant": "gr-1", "used": 1})):
        answer = client.post(f"/v1/allowances/{path}", json=body)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    warming.store.session = session
    assert client.post("/v1/allowances/grant", json=ASK | {"count": 1000}).json()["granted"] == 1000


def test_two_api_servers_of_one_database_never_grant_more_than_the_cap(warming, database_url):
    with closing(open_store(database_url)) as store, running(store) as other:
        other.gate.refresh(store, NOW, everything=True)
        clients = [warming.client("gate"), other.client("gate")] * 3
        for each in (warming, other):
            each.gate.refresh_keys(each.store)

        def take(client):
            granted = []
            while count := client.post("/v1/allowances/grant", json=ASK | {"count": 37}).json()["granted"]:
                granted.append(count)
            return sum(granted)

        with ThreadPoolExecutor(len(clients)) as threads:
            assert sum(threads.map(take, clients)) == 1000
