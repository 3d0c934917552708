"""What the gate knows follows the database."""

import threading
from datetime import timedelta

from monitor.database.tables import MailboxProvider
from monitor.facts import Store
from monitor.gate import decide, read_request
from monitor.incidents.silences import silence
from monitor.restrictions import suspensions
from monitor.restrictions.follow import GateIndex
from tests.monitor.api.running import NOW, Vigie
from tests.monitor.conftest import T
from tests.waiting import PATIENCE_SECONDS


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


def test_the_version_moves_when_a_restriction_does_and_never_back(store: Store):
    gate, other = GateIndex(), GateIndex()
    seen = []
    with store.session() as session:
        row = suspensions.hold(session, scope={"customer": "bolt"}, effect="hold", actor="dana", reason="a test", now=T)
    seen.append(gate.refresh(store, T).version)
    with store.session() as session:
        silence(session, matchers={"rule": "x"}, actor="dana", reason="a test", now=T, until=T + timedelta(hours=1))
    seen.append(gate.refresh(store, T).version)
    with store.session() as session:
        suspensions.lift(session, row.id, actor="dana", reason="a test", now=T)
    seen.append(gate.refresh(store, T).version)
    assert seen[0] == seen[1] < seen[2]
    assert other.refresh(store, T).version == seen[2], "another process says the same"


def test_silences_holds_and_looks_mean_the_provider_of_the_inventory_by_its_domain(vigie: Vigie):
    with vigie.store.session() as session:
        session.add(MailboxProvider(id="town", name="Town", domains=["town.example"]))
    vigie.gate.refresh(vigie.store, NOW, everything=True)
    event = {"at": NOW.isoformat(), "outcome": "delivered", "customer": "acme", "recipient": "ann@town.example"}
    assert vigie.client("events").post("/v1/events/generic", json=event).json()["accepted"] == 1
    [reading] = vigie.client("read").get("/v1/readings", params={"measure": "delivered", "provider": "town.example"}).json()
    assert reading["subject"]["provider"] == "town"
    operator = vigie.client("operate")
    wanted = {"reason": "a test", "until": (NOW + timedelta(hours=1)).isoformat()}
    silenced = operator.post("/v1/silences", json=wanted | {"matchers": {"provider": "town.example"}}).json()
    held = operator.post("/v1/suspensions", json=wanted | {"scope": {"provider": "town.example"}}).json()
    assert (silenced["matchers"], held["scope"]) == ({"provider": "town"}, {"provider": "town"})


def test_two_processes_follow_changes_that_overlap_and_miss_none(store: Store):
    """Whoever changes a restriction waits for who began before: ids are committed in their order, whatever each takes."""
    gates = GateIndex(), GateIndex()
    first_in, second_waits, go = threading.Event(), threading.Event(), threading.Event()
    seen: list[list[int]] = [[], []]

    def slow():
        with store.session() as session:
            suspensions.hold(session, scope={"customer": "acme"}, effect="hold", actor="dana", reason="a test", now=T)
            session.flush()
            first_in.set()
            assert go.wait(PATIENCE_SECONDS)

    def quick():
        assert first_in.wait(PATIENCE_SECONDS)
        second_waits.set()
        with store.session() as session:
            suspensions.hold(session, scope={"customer": "bolt"}, effect="hold", actor="dana", reason="a test", now=T)

    def look():
        for gate, versions in zip(gates, seen, strict=True):
            versions.append(gate.refresh(store, T).version)

    threads = [threading.Thread(target=slow), threading.Thread(target=quick)]
    for thread in threads:
        thread.start()
    assert second_waits.wait(PATIENCE_SECONDS)
    look()
    go.set()
    while any(thread.is_alive() for thread in threads):
        look()
    look()
    for gate, versions in zip(gates, seen, strict=True):
        assert {row.scope["customer"] for row in gate.index.restrictions} == {"acme", "bolt"}
        assert versions == sorted(versions)
    assert gates[0].index.version == gates[1].index.version
