"""Two API processes and ten senders end in the same truth after every change, whatever the network does; and never loosen meanwhile."""

import random
from contextlib import ExitStack, closing
from datetime import UTC, datetime

import pytest

from monitor.database.tables import Customer, SendingIp, Stream
from monitor.intake.consequences import open_store
from monitor.sender import Gate, Held, following
from monitor.warmup.plans import shipped
from monitor.warmup.rows import Start, start
from tests.monitor.api.running import Vigie, running
from tests.servers.tcp_proxy import TcpProxy
from tests.waiting import eventually

ASKED = (
    {"customer": "acme", "stream": "news", "ip": "192.0.2.7", "recipient_domain": "gmail.com"},
    {"customer": "acme", "stream": "receipts", "domain": "acme.example", "provider": "orange"},
    {"customer": "bolt", "campaign": "spring", "recipient_domain": "village.example"},
    {"customer": "bolt"},
)
SCOPES = (
    {"customer": "acme"}, {"customer": "acme", "stream": "news"}, {"provider": "gmail"}, {"customer": "bolt", "campaign": "spring"},
    {"ip": "192.0.2.7"}, {"customer": "bolt", "provider": "other"}, {"domain": "acme.example", "provider": "orange"},
)
ALIKE = ("decision", "reasons", "rate_per_hour", "version")


@pytest.fixture
def quick_to_notice(monkeypatch):
    monkeypatch.setattr(following, "SILENT_SECONDS", 3.0)
    monkeypatch.setattr(following, "LONGEST_WAIT", 0.3)


def key_of(vigie: Vigie) -> str:
    return vigie.client("gate").headers["authorization"].removeprefix("Bearer ")


def agree(gates, client):
    """Every gate decides as the service does, in all but what is its own."""
    def same():
        answers = client.post("/v1/decisions", json={"requests": list(ASKED)}).json()["decisions"]
        return all(
            {name: gate.ask(**fields).as_dict()[name] for name in ALIKE} == {name: answer[name] for name in ALIKE}
            for gate in gates for fields, answer in zip(ASKED, answers, strict=True)
        )
    assert eventually(same)


def test_ten_senders_at_two_processes_agree_with_both_after_every_change(store, database_url):
    chance = random.Random(20260102)
    with closing(open_store(database_url)) as second, running(store) as here, running(second) as there, ExitStack() as stack:
        key = key_of(here)
        gates = [stack.enter_context(Gate(each.url, key)) for each in (here, there) for _ in range(5)]
        operators = [each.client("operate") for each in (here, there)]
        askers = [each.client("gate") for each in (here, there)]
        held: list[str] = []
        for number in range(16):
            operator = chance.choice(operators)
            if held and chance.random() < 0.45:
                gone = held.pop(chance.randrange(len(held)))
                assert operator.delete(f"/v1/suspensions/{gone}", params={"reason": "a test"}).status_code == 200
            else:
                slow = {"effect": "slow", "rate_per_hour": chance.randrange(1, 9999)} if chance.random() < 0.5 else {}
                wanted = {"scope": chance.choice(SCOPES), "reason": f"change {number}"} | slow
                held.append(operator.post("/v1/suspensions", json=wanted).json()["id"])
            agree(gates, askers[number % 2])
        assert {gate.metrics()["restrictions"] for gate in gates} == {len(held)}


def hold(vigie, **scope):
    return vigie.client("operate").post("/v1/suspensions", json={"scope": scope, "reason": "a test"}).json()["id"]


def test_a_network_that_cuts_stalls_and_refuses_loosens_nothing_and_is_caught_up(sqlite_store, quick_to_notice):
    with running(sqlite_store) as vigie, TcpProxy(int(vigie.url.rsplit(":", 1)[1])) as proxy, Gate(proxy.url, key_of(vigie)) as gate:
        first = hold(vigie, customer="acme")
        agree([gate], vigie.client("gate"))
        for trouble in ("cut", "stall", "refuse"):
            if trouble == "cut":
                proxy.cut()
            else:
                setattr(proxy, trouble, True)
                if trouble == "refuse":
                    proxy.cut()
            missed = hold(vigie, customer="bolt")
            before = gate.metrics()["reconnects"]
            eventually(lambda seen=before: gate.metrics()["reconnects"] > seen or gate.ask(customer="bolt").decision == "hold")
            with pytest.raises(Held):
                gate.before_send(customer="acme")
            proxy.stall = proxy.refuse = False
            proxy.cut()
            eventually(lambda: gate.ask(customer="bolt").decision == "hold" and gate.state == "fresh")
            assert vigie.client("operate").delete(f"/v1/suspensions/{missed}", params={"reason": "a test"}).status_code == 200
            agree([gate], vigie.client("gate"))
        assert vigie.client("operate").delete(f"/v1/suspensions/{first}", params={"reason": "a test"}).status_code == 200
        agree([gate], vigie.client("gate"))


def test_a_service_that_is_killed_and_comes_back_elsewhere_sends_only_what_was_missed(sqlite_store, quick_to_notice):
    with ExitStack() as stack:
        proxy = None
        with running(sqlite_store) as vigie:
            proxy = stack.enter_context(TcpProxy(int(vigie.url.rsplit(":", 1)[1])))
            gate = stack.enter_context(Gate(proxy.url, key_of(vigie)))
            gone, kept = hold(vigie, customer="acme"), hold(vigie, customer="bolt")
            agree([gate], vigie.client("gate"))
        proxy.cut()
        assert gate.ask(customer="acme").decision == "hold"
        with running(sqlite_store) as other:
            assert other.client("operate").delete(f"/v1/suspensions/{gone}", params={"reason": "a test"}).status_code == 200
            proxy.target = int(other.url.rsplit(":", 1)[1])
            eventually(lambda: gate.ask(customer="acme").decision == "send")
            agree([gate], other.client("gate"))
            assert gate.ask(customer="bolt").decision == "hold"
            assert kept


def test_while_the_database_is_away_senders_decide_on_and_say_so(sqlite_store, monkeypatch):
    with running(sqlite_store) as vigie, Gate(vigie.url, key_of(vigie)) as gate:
        hold(vigie, customer="acme")
        agree([gate], vigie.client("gate"))

        def away():
            raise OSError("away")

        monkeypatch.setattr(sqlite_store, "reading_session", away)
        eventually(lambda: gate.state == "stale")
        assert [str(reason.kind) for reason in gate.ask(customer="acme").reasons] == ["suspension", "stale"]
        assert [str(reason.kind) for reason in gate.ask(customer="bolt").reasons] == ["stale"]
        monkeypatch.undo()
        eventually(lambda: gate.state == "fresh")


def test_real_suppressions_and_real_allowances_hold_at_the_sender(sqlite_store):
    with running(sqlite_store) as vigie, ExitStack() as stack:
        vigie.clock.now = now = datetime.now(UTC)
        with sqlite_store.session() as session:
            session.add(Customer(id="acme", name="Acme"))
            session.flush()
            session.add_all([Stream(customer="acme", name="news", kind="marketing"), SendingIp(address="192.0.2.7")])
        with sqlite_store.session() as session:
            plan = next(iter(shipped().values()))
            start(session, Start("192.0.2.7", None, "gmail", plan), actor="dana", reason="a test", now=now)
        added = vigie.client("operate").post("/v1/suppressions", json={"customer": "acme", "address": "ann@orange.fr", "reason": "manual"})
        assert added.json()["added"] == 1, added.text
        vigie.gate.refresh(vigie.store, now, everything=True)
        gate = stack.enter_context(Gate(vigie.url, key_of(vigie), sender="mta-1"))
        assert gate.wait(300)

        def kinds(**fields):
            try:
                return gate.before_send(customer="acme", stream="news", **fields).decision
            except Held as held:
                return [str(reason.kind) for reason in held.decision.reasons]

        assert kinds(recipient="bea@orange.fr") == "send"
        eventually(lambda: kinds(recipient="ann@orange.fr") == ["suppression"])
        assert kinds(recipient="bea@orange.fr") == "send"
        for _ in range(3):
            eventually(lambda: kinds(recipient="bea@gmail.com", ip="192.0.2.7") == "send")
        assert kinds(recipient="bea@orange.fr", ip="192.0.2.7") == "send", "which needs no allowance"
        gate.close()
        [line] = vigie.client("read").get("/v1/standings").json()
        assert (line["used"], line["granted"], line["left"]) == (3, 0, line["cap"] - 3)
