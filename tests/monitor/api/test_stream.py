"""The stream of changes: everything once, then what changes, and on from where a reader was cut off."""

import socket
import threading
from contextlib import ExitStack, closing

import pytest

from monitor.api import GateIndex
from monitor.api import stream as stream_module
from monitor.config.settings import Api
from monitor.database.tables import ApiKey, Customer, Pool, SendingDomain, SendingIp, Stream
from monitor.facts import Store
from monitor.intake.consequences import open_store
from monitor.restrictions import change_log, feed, suspensions
from tests.monitor.api.following import Follower
from tests.monitor.api.running import NOW, running
from tests.waiting import PATIENCE_SECONDS, ended, eventually


@pytest.fixture
def following(vigie):
    """Followers that are let go when the test is over."""
    followers = []

    def follow(customer=None, last=None, of=vigie):
        followers.append(Follower(of.client("gate", customer=customer), last))
        return followers[-1]

    yield follow
    for each in followers:
        each.close()


def hold(vigie, **more):
    more = {"scope": {"customer": "acme"}, "reason": "a test"} | more
    answer = vigie.client("operate").post("/v1/suspensions", json=more)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def lift(vigie, which):
    assert vigie.client("operate").delete(f"/v1/suspensions/{which}", params={"reason": "a test"}).status_code == 200


def add_inventory(vigie):
    with vigie.store.session() as session:
        session.add_all([Customer(id="acme", name="Acme"), Customer(id="bolt", name="Bolt")])
        session.flush()
        session.add_all([Pool(name="acme-pool", customer="acme"), Pool(name="bolt-pool", customer="bolt"), Pool(name="shared")])
        session.add(Stream(customer="acme", name="receipts", kind="transactional"))
        session.flush()
        session.add_all([
            SendingIp(address="192.0.2.1", pool="acme-pool", customer="acme"),
            SendingIp(address="203.0.113.8", pool="bolt-pool", customer="bolt"),
            SendingDomain(domain="news.bolt.example", customer="bolt"),
        ])
    vigie.gate.refresh(vigie.store, NOW, everything=True)


def test_first_comes_everything_then_each_change_whole_and_why_what_went_is_gone(vigie, following):
    add_inventory(vigie)
    first = hold(vigie)
    reader = following()
    event = reader.first()
    snapshot = vigie.client("gate").get("/v1/gate/snapshot").json()
    assert (event.name, event.data) == ("snapshot", snapshot)
    assert 0 < len(event.id) <= 128
    assert event.id.isprintable()
    assert event.id.isascii()
    second = hold(vigie, scope={"customer": "acme", "provider": "gmail"}, effect="slow", rate_per_hour=50)
    [change] = eventually(lambda: reader.named("change"))
    assert change.data["version"] == snapshot["version"] + 1
    assert (change.data["set"][0]["id"], change.data["removed"]) == (second, [])
    assert change.data["set"][0] == {
        "id": second, "kind": "suspension", "scope": {"customer": "acme", "provider": "gmail"}, "effect": "slow", "rate_per_hour": 50,
        "text": "a test", "rule": None, "incident": None, "until": None, "lifts_when": "an operator lifts it",
    }
    lift(vigie, first)
    eventually(lambda: len(reader.named("change")) == 2)
    assert reader.named("change")[1].data["removed"] == [{"id": first, "why": "lifted"}]
    assert reader.restrictions.keys() == {second}
    assert not {"allowances", "pools", "streams", "providers"} & reader.named("change")[1].data.keys(), "they are as they were"


def test_signs_of_life_come_without_an_id_and_say_when_the_database_is_away(vigie, following, monkeypatch):
    reader = following()
    alive = eventually(lambda: reader.named("alive"))[0]
    assert (alive.id, alive.data) == (None, {"version": 0, "at": "2026-01-02T03:04:05Z", "stale_since": None})

    def away():
        raise OSError("away")

    monkeypatch.setattr(vigie.store, "reading_session", away)
    eventually(lambda: reader.events[-1].data.get("stale_since") == "2026-01-02T03:04:05Z")
    answer = vigie.client().get("/v1/gate/snapshot", headers=reader.response.request.headers)
    assert (answer.status_code, answer.json()["stale_since"]) == (200, "2026-01-02T03:04:05Z")
    monkeypatch.undo()
    eventually(lambda: reader.events[-1].data.get("stale_since", "") is None)


def test_time_ends_a_restriction_and_it_is_said(vigie, following):
    which = hold(vigie, until="2026-01-02T03:10:00Z")
    reader = following()
    assert which in eventually(lambda: reader.restrictions)
    vigie.clock.move(minutes=10)
    eventually(lambda: reader.named("change"))
    assert reader.named("change")[0].data["removed"] == [{"id": which, "why": "expired"}]


def test_a_reader_that_comes_back_is_sent_only_what_it_missed_by_whichever_process_it_asks(vigie, following, database_url):
    gone, kept = hold(vigie), hold(vigie, scope={"customer": "bolt"})
    reader = following()
    reader.first()
    reader.close()
    lift(vigie, gone)
    new = hold(vigie, scope={"ip": "192.0.2.1"})
    with closing(open_store(database_url)) as store, running(store) as other:
        for who in (vigie, other):
            back = Follower(who.client("gate"), reader.last)
            event = back.first()
            assert event.name == "change"
            assert [row["id"] for row in event.data["set"]] == [new]
            assert event.data["removed"] == [{"id": gone, "why": "lifted"}]
            nothing = Follower(who.client("gate"), event.id)
            assert nothing.first().name == "alive", "there is nothing to say"
            back.close()
            nothing.close()
        nothing = Follower(other.client("gate"), event.id)
        assert hold(vigie, scope={"customer": "third"}) in eventually(lambda: nothing.restrictions)
        nothing.close()
    assert kept in reader.restrictions


@pytest.mark.parametrize("last", [
    "garbage", "", "x" * 500, "1.0.0.1", "1.ffffffffffffffffffffffff.ffffffffffff.1", "1.0.0.99999999999999999999", "ébène",
])
def test_an_id_that_cannot_be_resumed_is_no_error_but_everything_anew(vigie, following, last):
    which = hold(vigie)
    reader = Follower(vigie.client("gate"), last.encode())
    event = reader.first()
    assert (event.name, [row["id"] for row in event.data["restrictions"]]) == ("snapshot", [which])
    reader.close()


def test_an_id_of_more_changes_ago_than_are_kept_is_answered_with_everything(vigie, following, monkeypatch):
    reader = following()
    reader.first()
    reader.close()
    monkeypatch.setattr(change_log, "KEPT", 2)
    for _ in range(3):
        hold(vigie)
    assert following(last=reader.last).first().name == "snapshot"
    late = following()
    late.first()
    late.close()
    hold(vigie)
    assert following(last=late.last).first().name == "change"


def test_an_id_of_another_key_or_of_another_inventory_is_answered_with_everything(vigie, following):
    add_inventory(vigie)
    hold(vigie, scope={"customer": "bolt"})
    reader = following(customer="acme")
    reader.first()
    assert following(customer="bolt", last=reader.last).first().name == "snapshot"
    assert following(last=reader.last).first().name == "snapshot"
    reader.close()
    changed = vigie.client("admin").put("/v1/inventory/ips/192.0.2.9", json={"pool": "acme-pool", "customer": "acme"})
    assert changed.status_code == 200
    assert following(customer="acme", last=reader.last).first().name == "snapshot"


def test_a_change_of_the_inventory_is_sent_at_every_process_when_its_call_is_answered(vigie, following, database_url):
    add_inventory(vigie)
    with closing(open_store(database_url)) as store, running(store) as other:
        here, there = following(), Follower(other.client("gate"))
        here.first()
        there.first()
        answer = vigie.client("admin").put("/v1/inventory/streams/acme/alerts", json={"kind": "transactional"})
        assert answer.status_code == 200, answer.text
        for reader in (here, there):
            [change] = eventually(lambda seen=reader: seen.named("change"))
            assert change.data.keys() == {"version", "at", "set", "removed", "streams"}
            assert {row["name"] for row in change.data["streams"]} == {"receipts", "alerts"}
        there.close()


def test_a_customers_reader_is_sent_what_can_apply_to_it_and_nothing_of_others(vigie, following):
    add_inventory(vigie)
    reader, all_of_it = following(customer="acme"), following()
    assert reader.first().data["pools"] == {"192.0.2.1": "acme-pool"}
    all_of_it.first()
    foreign = [
        hold(vigie, scope=scope) for scope in ({"customer": "bolt"}, {"ip": "203.0.113.8"}, {"pool": "bolt-pool"}, {"domain": "news.bolt.example"})
    ]
    own = [hold(vigie, scope=scope) for scope in ({"customer": "acme"}, {"provider": "gmail"}, {"ip": "192.0.2.1"}, {"pool": "shared"})]
    lift(vigie, foreign[0])
    lift(vigie, own[0])
    eventually(lambda: reader.restrictions.keys() == set(own[1:]))
    eventually(lambda: all_of_it.restrictions.keys() == {*foreign[1:], *own[1:]})
    written = str(reader.events)
    assert not [name for name in (*foreign, "bolt-pool", "203.0.113.8") if name in written]
    # also not in what it is sent when it comes back
    assert not [name for name in foreign if name in str(following(customer="acme", last=reader.events[0].id).first())]


def test_an_address_that_becomes_the_customers_own_brings_what_holds_it(vigie, following):
    add_inventory(vigie)
    which = hold(vigie, scope={"ip": "203.0.113.8"})
    reader = following(customer="acme")
    assert reader.first().data["restrictions"] == []
    assert vigie.client("admin").put("/v1/inventory/ips/203.0.113.8", json={"pool": "acme-pool", "customer": "acme"}).status_code == 200
    eventually(lambda: which in reader.restrictions)
    assert vigie.client("admin").put("/v1/inventory/ips/203.0.113.8", json={"pool": "bolt-pool", "customer": "bolt"}).status_code == 200
    eventually(lambda: which not in reader.restrictions)
    assert reader.named("change")[-1].data["removed"] == [{"id": which, "why": "gone"}]


def test_the_stream_of_a_revoked_key_ends_and_it_gets_no_other(vigie):
    reader = Follower(client := vigie.client("gate"))
    reader.first()
    with vigie.store.session() as session:
        row = session.get(ApiKey, client.headers["authorization"].split("_")[1])
        row.revoked_at = NOW
    eventually(lambda: reader.ended)
    assert client.get("/v1/gate/stream").status_code == 401
    reader.close()


def test_errors_come_before_the_stream(vigie):
    assert vigie.client().get("/v1/gate/stream").status_code == 401
    assert vigie.client("read", "events", "operate").get("/v1/gate/stream").status_code == 403
    assert vigie.client().get("/v1/gate/snapshot").status_code == 401


def test_a_key_that_cannot_be_looked_up_is_asked_to_come_again(vigie, monkeypatch):
    client = vigie.client()
    client.headers["Authorization"] = "Bearer vigie_0000000000_00"
    monkeypatch.setattr(vigie.store, "reading_session", _away)
    answer = client.get("/v1/gate/stream")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


def test_a_process_that_knows_less_than_its_reader_says_so_while_the_database_is_away(vigie, following, monkeypatch):
    hold(vigie)
    reader = following()
    reader.first()
    etag = vigie.client("gate").get("/v1/gate/snapshot").headers["etag"]
    key = vigie.client("gate")
    behind = feed.Feed(vigie.gate.changes)
    behind.database = vigie.gate.feed.database
    behind.publish(vigie.gate.feed.content._replace(version=0, restrictions={}), {})
    monkeypatch.setattr(vigie.gate, "feed", behind)
    monkeypatch.setattr(vigie.store, "reading_session", _away)
    eventually(lambda: vigie.gate.stale_since)
    answer = key.get("/v1/gate/stream", headers={"Last-Event-ID": reader.last})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    answer = key.get("/v1/gate/snapshot", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    monkeypatch.undo()


def test_a_reader_that_does_not_read_is_let_go_and_costs_no_memory(vigie, monkeypatch):
    monkeypatch.setattr(stream_module, "NOT_READING_SECONDS", 0.5)
    monkeypatch.setattr(feed, "MOST_EVENT_BYTES", 5_000_000)
    with _connected(vigie, vigie.client("gate").headers["authorization"]) as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        eventually(lambda: vigie.gate.feed.followed)
        [view] = vigie.gate.feed.followed
        stop = threading.Event()
        busy = threading.Thread(target=_keep_changing, args=(vigie, stop))
        busy.start()
        try:
            eventually(lambda: not vigie.gate.feed.followed)
        finally:
            stop.set()
        assert ended(busy)
        assert sum(len(event.data) for event in view.events) <= 5_000_000


def _keep_changing(vigie, stop):
    while not stop.wait(0.01):
        with vigie.store.session() as session:
            for _ in range(100):
                suspensions.hold(session, scope={"customer": "x"}, effect="hold", actor="t", reason="y" * 20_000, now=NOW)


def _connected(vigie, authorization):
    """A reader of the stream that is a bare socket."""
    host, port = vigie.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(f"GET /v1/gate/stream HTTP/1.1\r\nHost: {host}\r\nAuthorization: {authorization}\r\n\r\n".encode())
    return connection


def test_only_so_many_streams_are_open_that_others_can_still_ask(store: Store):
    with running(store, settings=Api(console="open", connections=10)) as vigie, ExitStack() as stack:
        client = vigie.client("gate")
        for _ in range(8):
            stack.enter_context(_connected(vigie, client.headers["authorization"]))
        eventually(lambda: sum(view.followers for view in vigie.gate.feed.followed) == 8)
        answer = client.get("/v1/gate/stream")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_many_at_once_open_no_more_than_the_limit_and_one_customer_only_its_share(store: Store):
    with running(store, settings=Api(console="open", connections=30)) as vigie, ExitStack() as stack:
        bolts = vigie.client("gate", customer="bolt").headers["authorization"]
        readers = [stack.enter_context(_connected(vigie, bolts)) for _ in range(20)]
        statuses = []
        for reader in readers:
            reader.settimeout(PATIENCE_SECONDS)
            statuses.append(reader.recv(12))
        assert statuses.count(b"HTTP/1.1 200") == 6  # a quarter of 24 streams
        assert statuses.count(b"HTTP/1.1 503") == 14
        assert vigie.client("gate", customer="acme").post("/v1/decision", json={"customer": "acme"}).status_code == 200


def test_the_service_stops_at_once_with_readers_on_it(store: Store):
    with running(store) as vigie:
        reader = Follower(vigie.client("gate"))
        reader.first()
    assert eventually(lambda: reader.ended)


def test_changes_of_transactions_that_commit_late_are_missed_by_nobody(vigie, following):
    reader = following()
    reader.first()
    began, go = threading.Event(), threading.Event()

    def slow():
        with vigie.store.session() as session:
            suspensions.hold(session, scope={"customer": "slow"}, effect="hold", actor="t", reason="late", now=NOW)
            session.flush()
            began.set()
            assert go.wait(PATIENCE_SECONDS)

    threads = [threading.Thread(target=slow)]
    threads[0].start()
    assert began.wait(PATIENCE_SECONDS)
    threads.append(threading.Thread(target=hold, args=(vigie,), kwargs={"scope": {"customer": "quick"}}))
    threads[1].start()
    go.set()
    assert all(map(ended, threads))
    eventually(lambda: {row["scope"]["customer"] for row in reader.restrictions.values()} == {"slow", "quick"})


def test_a_version_never_goes_back_for_a_reader_that_asks_two_processes(vigie, database_url):
    with closing(open_store(database_url)) as store, running(store) as other:
        clients = [vigie.client("gate"), other.client("gate")]
        seen, tags = [], []
        for _ in range(5):
            hold(vigie)
            for client in clients:
                answer = client.get("/v1/gate/snapshot")
                seen.append(answer.json()["version"])
                tags.append(answer.headers["etag"])
        assert seen == sorted(seen)
        assert tags[::2] == tags[1::2], "equal content has an equal ETag"


def test_the_snapshot_is_packed_for_whoever_accepts_it(vigie):
    hold(vigie)
    client = vigie.client("gate")
    plain = client.get("/v1/gate/snapshot", headers={"Accept-Encoding": "identity"})
    packed = client.get("/v1/gate/snapshot", headers={"Accept-Encoding": "br, gzip;q=0.5"})
    refused = client.get("/v1/gate/snapshot", headers={"Accept-Encoding": "gzip;q=0"})
    assert [answer.headers.get("content-encoding") for answer in (plain, packed, refused)] == [None, "gzip", None]
    assert plain.json() == packed.json()
    assert plain.headers["etag"] == packed.headers["etag"]


def test_rows_changed_by_hand_are_sent_as_well(vigie, following):
    which = hold(vigie)
    reader = following()
    reader.first()
    with vigie.store.session() as session:
        session.connection().exec_driver_sql("DELETE FROM suspension")
    vigie.clock.move(seconds=6)
    eventually(lambda: not reader.restrictions)
    assert reader.named("change")[-1].data["removed"] == [{"id": which, "why": "gone"}]


def test_a_hundred_readers_are_sent_one_event(store: Store):
    with running(store) as vigie, ExitStack() as stack:
        authorization = vigie.client("gate").headers["authorization"]
        readers = [stack.enter_context(_connected(vigie, authorization)) for _ in range(100)]
        eventually(lambda: sum(view.followers for view in vigie.gate.feed.followed) == 100)
        which = hold(vigie).encode()
        for reader in readers:
            reader.settimeout(PATIENCE_SECONDS)
            taken = b""
            while which not in taken:
                piece = reader.recv(65536)
                assert piece, "the stream ended"
                taken += piece
        assert len(vigie.gate.feed.followed) == 1


def _away():
    raise OSError("away")


def test_what_is_known_of_the_gate_is_the_same_after_a_change_as_read_anew(store: Store):
    """The rows that changed are read by themselves; what comes of it is what reading everything gives."""
    gate = GateIndex()
    gate.refresh(store, NOW)
    rows = []
    for number in range(12):
        with store.session() as session:
            rows.append(suspensions.hold(session, scope={"customer": f"c{number}"}, effect="hold", actor="t", reason="x", now=NOW))
            if number % 3 == 2:
                suspensions.lift(session, rows[number - 1].id, actor="t", reason="x", now=NOW)
        fresh = GateIndex()
        assert gate.refresh(store, NOW).restrictions == fresh.refresh(store, NOW).restrictions
        assert gate.feed.snapshot(None, None)[0].body == fresh.feed.snapshot(None, None)[0].body
