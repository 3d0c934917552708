"""The decision calls stand before everything else: what they remember and how they wait changes no answer."""

import asyncio
import json
import socket

import orjson
import pytest

from monitor.access.keys import KeyRing, make_key, revoke_key
from monitor.api.body import too_slow
from monitor.api.deadline import Deadlines
from monitor.api.problem import Problem
from monitor.database.tables import Customer, Stream
from monitor.gate import Restriction, answer, build_index, matching, read_request
from monitor.restrictions import suspensions
from monitor.restrictions.wire import encoded, with_warnings
from tests.monitor.api.running import NOW
from tests.waiting import PATIENCE_SECONDS

FIELDS = {"customer": "acme", "stream": "news", "recipient_domain": "gmail.com"}


@pytest.mark.parametrize("warnings", [[], ["customer: the inventory has no customer acme"]])
def test_reasons_encoded_once_read_as_those_encoded_anew(warnings):
    held = [
        Restriction("sus-1", {"customer": "acme"}, "hold", "réputation “basse”", until=NOW),
        Restriction("sus-2", {"customer": "bolt"}, "slow", "x", rate_per_hour=5, connections=2),
    ]
    index = build_index(held, version=7, built_at=NOW.replace(year=2025))
    for customer in ("acme", "bolt", "other"):
        match = matching(read_request({"customer": customer}), index, NOW.replace(year=2025))
        for now in (NOW.replace(year=2025), NOW.replace(year=2025, minute=59)):  # then it is stale
            decision = answer(match, index, now)
            anew = orjson.dumps(with_warnings(decision, warnings), option=orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS)
            for _ in range(2):
                assert json.loads(encoded(decision, match, warnings)) == json.loads(anew)


def test_a_request_asked_again_follows_restrictions_inventory_owners_and_keys(vigie):
    sender = vigie.client("gate")

    def ask():
        return sender.post("/v1/decision", json=FIELDS)

    assert (ask().json()["decision"], ask().json()["decision"]) == ("send", "send")
    with vigie.store.session() as session:
        row = suspensions.hold(session, scope={"customer": "acme"}, effect="hold", actor="dana", reason="a test", now=NOW)
    vigie.gate.refresh(vigie.store, NOW)
    assert ask().json()["decision"] == "hold"
    with vigie.store.session() as session:
        suspensions.lift(session, row.id, actor="dana", reason="repaired", now=NOW)
        session.add(Customer(id="bolt", name="Bolt"))
    vigie.gate.refresh(vigie.store, NOW, everything=True)
    assert "no customer acme" in ask().json()["warnings"][0]
    with vigie.store.session() as session:
        session.add(Customer(id="acme", name="Acme"))
        session.flush()
        session.add(Stream(customer="acme", name="news"))
    vigie.gate.refresh(vigie.store, NOW, everything=True)
    assert (ask().json()["decision"], "warnings" in ask().json()) == ("send", False)
    with vigie.store.session() as session:
        key_id = sender.headers["authorization"].split("_")[1]
        revoke_key(session, key_id, NOW)
    vigie.gate.refresh(vigie.store, NOW)
    assert ask().status_code == 401


def test_what_one_customer_asked_is_not_remembered_for_another(vigie):
    acme, bolt = vigie.client("gate", customer="acme"), vigie.client("gate", customer="bolt")
    for _ in range(2):
        assert acme.post("/v1/decision", json=FIELDS).status_code == 200
        assert bolt.post("/v1/decision", json=FIELDS).status_code == 403


def test_a_key_that_was_right_is_wrong_once_it_is_revoked():
    row, key = make_key("mta", ["gate"], None, NOW)
    ring = KeyRing()
    ring.hold([row], NOW)
    assert ring.caller(key) == ring.caller(key) is not None
    row.revoked_at = NOW
    ring.hold([row], NOW)
    assert ring.caller(key) is None
    assert ring.caller(key[:-1] + ("0" if key[-1] != "0" else "1")) is None


@pytest.mark.parametrize("pieces", [1, 2, 7])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_in_pieces_with_or_without_its_length_is_read_whole(vigie, pieces, chunked):
    key = vigie.client("gate").headers["authorization"]
    body = json.dumps(FIELDS | {"count": 25}).encode()
    step = -(-len(body) // pieces)
    parts = [body[at : at + step] for at in range(0, len(body), step)]
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    with socket.create_connection(("127.0.0.1", int(vigie.url.rpartition(":")[2])), PATIENCE_SECONDS) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(f"POST /v1/decision HTTP/1.1\r\nHost: localhost\r\nAuthorization: {key}\r\n{length}\r\n\r\n".encode())
        for part in parts:
            sock.sendall(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
        if chunked:
            sock.sendall(b"0\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_decision_whose_body_does_not_come_is_ended_and_others_go_on(monkeypatch):
    monkeypatch.setattr("monitor.api.body.IDLE_SECONDS", 0.01)
    monkeypatch.setattr("monitor.api.deadline._LOOK_SECONDS", 0.01)
    deadlines = Deadlines()

    async def call(came: asyncio.Event) -> Problem | None:
        waiting = deadlines.begin()
        try:
            await came.wait()
        except asyncio.CancelledError:
            return deadlines.too_late(waiting)
        finally:
            deadlines.end(waiting)
        return None

    async def both():
        came, never = asyncio.Event(), asyncio.Event()
        came.set()
        return await asyncio.gather(call(never), call(came))

    for _ in range(2):  # in one event loop, and in another after it
        late, answered = asyncio.run(both())
        assert (late.status_code, late.detail, answered) == (408, too_slow().detail, None)


def test_a_call_cancelled_for_another_reason_is_not_too_late():
    async def cancelled():
        deadlines = Deadlines()
        waiting = deadlines.begin()
        assert deadlines.too_late(waiting) is None

    asyncio.run(cancelled())
