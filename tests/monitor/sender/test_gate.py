"""A sender's own gate: what it decides by, how well it knows it, and what it lets through."""

import asyncio
import json
import stat
import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from monitor.gate import build_index, decide, read_request
from monitor.sender import AsyncGate, Gate, Held, following, grants, local_gate
from monitor.sender.known import Known
from tests.servers.gate_stream import KEY, GateServer, allowance, restriction, snapshot
from tests.waiting import eventually, free_port

MAIL = {"customer": "acme", "stream": "news", "ip": "192.0.2.7", "recipient_domain": "gmail.com"}
STREAMS = [{"customer": "acme", "name": "receipts", "kind": "transactional"}, {"customer": "acme", "name": "news", "kind": "marketing"}]


@pytest.fixture
def server():
    with GateServer() as started:
        yield started


@pytest.fixture
def made():
    """Gates that are closed when the test is over."""
    gates = []

    def make(url, **more):
        gates.append(Gate(url, KEY, **more))
        return gates[-1]

    yield make
    for gate in gates:
        gate.close()


def nowhere():
    return f"http://127.0.0.1:{free_port()}"


def kinds(decision):
    return [str(reason.kind) for reason in decision.reasons]


def soon(**by):
    return datetime.now(UTC) + timedelta(**by)


# what it knows

def test_it_decides_by_the_snapshot_and_by_each_change_after_it(server, made):
    server.first = [("snapshot", "a", snapshot(7, [restriction("sus-1", customer="bolt")], pools={"192.0.2.7": "acme-pool"}))]
    gate = made(server.url)
    assert gate.wait(300)
    assert eventually(lambda: gate.state == "fresh")
    assert (gate.ask(**MAIL).decision, gate.ask(customer="bolt").decision) == ("send", "hold")
    assert gate.ask(**MAIL).pool == "acme-pool"
    server.say("change", {"version": 8, "at": soon().isoformat(), "set": [restriction("sus-2", provider="gmail")], "removed": []}, "b")
    eventually(lambda: gate.ask(**MAIL).decision == "hold")
    assert gate.ask(**MAIL).version == 8
    server.say("change", {"version": 9, "set": [], "removed": [{"id": "sus-2", "why": "lifted"}], "pools": {}, "unheard of": 1}, "c")
    eventually(lambda: gate.ask(**MAIL).decision == "send")
    assert gate.ask(**MAIL).pool is None
    assert gate.ask(customer="bolt").decision == "hold"
    metrics = gate.metrics()
    assert (metrics["version"], metrics["restrictions"], metrics["reconnects"]) == (9, 1, 0)
    assert all(isinstance(value, int | float) for value in metrics.values())
    assert metrics["decisions_send"] >= 3


def test_a_change_that_comes_twice_does_no_harm(server, made):
    gate = made(server.url)
    assert gate.wait(300)
    change = {"version": 2, "set": [restriction("sus-1", customer="acme")], "removed": [{"id": "sus-0", "why": "gone"}]}
    for _ in range(2):
        server.say("change", change, "b")
    eventually(lambda: gate.ask(customer="acme").decision == "hold")
    assert gate.metrics()["restrictions"] == 1


def test_a_snapshot_replaces_everything(server, made):
    server.first = [("snapshot", "a", snapshot(1, [restriction("sus-1", customer="acme")]))]
    gate = made(server.url)
    eventually(lambda: gate.ask(customer="acme").decision == "hold" and gate.state == "fresh")
    server.say("snapshot", snapshot(2, [restriction("sus-2", customer="bolt")]), "b")
    eventually(lambda: gate.ask(customer="bolt").decision == "hold")
    assert gate.ask(customer="acme").decision == "send"


def test_it_comes_back_with_the_id_of_the_last_event_that_had_one(server, made):
    gate = made(server.url)
    assert gate.wait(300)
    server.say("change", {"version": 2, "set": [restriction("sus-1", customer="acme")], "removed": []}, "place-2")
    server.alive(2)
    eventually(lambda: gate.ask(customer="acme").decision == "hold")
    server.first = [("change", "place-3", {"version": 3, "set": [], "removed": [{"id": "sus-1", "why": "lifted"}]})]
    server.drop()
    eventually(lambda: gate.ask(customer="acme").decision == "send")
    streams = [headers for path, headers, _ in server.calls if path == "/v1/gate/stream"]
    assert [headers.get("Last-Event-ID") for headers in streams] == [None, "place-2"]
    assert streams[0]["Authorization"] == f"Bearer {KEY}"
    assert gate.metrics()["reconnects"] == 1


@pytest.mark.parametrize("bad", [
    "no json", "[]", '{"format": 2, "version": 9}', '{"version": 9}', json.dumps(snapshot() | {"restrictions": [{"id": 1}]}), "[" * 100_000,
])
def test_what_cannot_be_understood_changes_nothing_and_is_asked_for_anew(server, made, monkeypatch, bad):
    monkeypatch.setattr(following, "LONGEST_WAIT", 0.1)
    server.first = [("snapshot", "a", snapshot(1, [restriction("sus-1", customer="acme")]))]
    gate = made(server.url)
    eventually(lambda: gate.state == "fresh")
    server.first = [("snapshot", "b", bad)]
    server.say("snapshot", bad, "b")
    eventually(lambda: gate.metrics()["reconnects"] > 1)
    assert gate.ask(customer="acme").decision == "hold"
    server.first = [("snapshot", "c", snapshot(3))]
    eventually(lambda: gate.ask(customer="acme").decision == "send")


def test_an_effect_nobody_here_knows_holds(server, made):
    server.first = [("snapshot", "a", snapshot(1, [restriction("sus-1", "quarantine", customer="acme")]))]
    gate = made(server.url)
    eventually(lambda: gate.state == "fresh")
    assert gate.ask(customer="acme").decision == "hold"


def test_it_ends_a_restriction_by_itself_when_its_time_is_over(server, made):
    server.first = [("snapshot", "a", snapshot(1, [restriction("sus-1", customer="acme", until=soon(seconds=2))]))]
    gate = made(server.url)
    eventually(lambda: gate.state == "fresh")
    eventually(lambda: gate.ask(customer="acme").decision == "send")
    assert soon() > datetime.fromisoformat(server.first[0][2]["restrictions"][0]["until"])


def test_a_clock_that_is_moved_ends_nothing_early(server, made, monkeypatch):
    server.first = [("snapshot", "a", snapshot(1, [restriction("sus-1", customer="acme", until=soon(hours=1))]))]
    gate = made(server.url)
    eventually(lambda: gate.state == "fresh")
    ahead = time.time() + 86_400
    monkeypatch.setattr(time, "time", lambda: ahead)
    assert gate.ask(customer="acme").decision == "hold"
    for _ in range(3):
        server.alive()
    assert gate.ask(customer="acme").decision == "hold"


def test_what_it_decides_is_what_the_same_index_decides(server, made):
    rows = [restriction("sus-1", "slow", rate=60, customer="acme", provider="gmail"), restriction("sus-2", customer="acme", stream="news")]
    server.first = [("snapshot", "a", snapshot(3, rows, streams=STREAMS))]
    gate = made(server.url)
    eventually(lambda: gate.state == "fresh")
    known = Known.of_snapshot(server.first[0][2], None, soon())
    index = build_index(known.restrictions.values(), version=3, built_at=soon(), kinds={("acme", "news"): "marketing"}, providers=known.index.providers)
    for fields in (MAIL, MAIL | {"stream": "receipts"}, {"customer": "bolt"}, {"customer": "acme"}):
        ours, theirs = gate.ask(**fields), decide(read_request(fields), index, soon())
        assert (ours.decision, ours.reasons, ours.rate_per_hour, ours.version) == (theirs.decision, theirs.reasons, theirs.rate_per_hour, theirs.version)
        assert json.loads(json.dumps(ours.as_dict()))["decision"] == theirs.decision


# how well it knows it

def test_it_knows_nothing_at_first_and_says_what_it_does_then(made):
    gate = made(nowhere())
    assert (gate.state, gate.wait(0)) == ("empty", False)
    decision = gate.ask(**MAIL)
    assert (decision.decision, kinds(decision), decision.as_dict()["reasons"][0]["effect"]) == ("hold", ["stale"], "hold")
    sends = made(nowhere(), away={"marketing": "send"})
    assert (sends.ask(**MAIL).decision, kinds(sends.ask(**MAIL))) == ("send", ["stale"])


def test_away_it_does_what_was_chosen_for_the_kind_of_stream_and_never_loosens(server, made):
    rows = [restriction("sus-1", customer="bolt"), restriction("sus-2", "slow", rate=10, customer="acme", provider="orange"),
            restriction("sus-3", customer="third", until=soon(seconds=3))]
    server.first = [("snapshot", "a", snapshot(1, rows, streams=STREAMS))]
    gate = made(server.url, keep_seconds=1)
    assert gate.wait(300)
    assert eventually(lambda: gate.state == "away"), "nothing was heard for longer than a second"
    assert gate.ask(**MAIL).decision == "hold"
    assert kinds(gate.ask(**MAIL)) == ["stale"]
    receipts = gate.ask(**MAIL | {"stream": "receipts"})
    assert (receipts.decision, kinds(receipts)) == ("send", ["stale"])
    assert gate.ask(customer="acme", stream="receipts", provider="orange").decision == "slow"
    assert gate.ask(customer="acme", stream="unheard of").decision == "hold"
    assert kinds(gate.ask(customer="bolt")) == ["suspension", "stale"]
    eventually(lambda: kinds(gate.ask(customer="third")) == ["stale"])
    server.alive()
    eventually(lambda: gate.state == "fresh" and gate.ask(**MAIL).decision == "send")


def test_it_is_stale_when_it_has_not_heard_for_half_a_minute_and_decides_on(server, made, monkeypatch):
    monkeypatch.setattr(local_gate, "FRESH_SECONDS", 0.2)
    gate = made(server.url)
    assert gate.wait(300)
    assert eventually(lambda: gate.state == "stale")
    assert (gate.ask(**MAIL).decision, kinds(gate.ask(**MAIL))) == ("send", ["stale"])


def test_it_is_stale_while_the_database_is_away(server, made):
    gate = made(server.url)
    eventually(lambda: gate.state == "fresh")
    server.alive(1, "2026-01-02T03:04:05Z")
    eventually(lambda: gate.state == "stale")
    assert "2026-01-02T03:04:05Z" in gate.ask(**MAIL).reasons[0].text
    server.say("change", {"version": 2, "set": [restriction("sus-1", customer="acme")], "removed": []}, "b")
    eventually(lambda: gate.ask(**MAIL).decision == "hold")
    server.alive(2)
    eventually(lambda: gate.state == "fresh")


def test_a_process_that_knows_less_and_cannot_ask_loosens_nothing(server, made):
    server.first = [("snapshot", "a", snapshot(5, [restriction("sus-1", customer="acme")]))]
    gate = made(server.url)
    eventually(lambda: gate.state == "fresh")
    server.say("snapshot", snapshot(4) | {"stale_since": "2026-01-02T03:04:05Z"}, "b")
    eventually(lambda: gate.state == "stale")
    assert gate.ask(customer="acme").decision == "hold"
    server.say("snapshot", snapshot(4), "c")
    eventually(lambda: gate.ask(customer="acme").decision == "send")


def test_a_refused_key_is_tried_again_and_what_is_known_ages(server, made):
    server.refuse = (401, {})
    gate = made(server.url)
    eventually(lambda: len(server.calls) > 2)
    assert gate.state == "empty"
    (reason,) = gate.ask(customer="acme").reasons
    assert "it answers 401: is the key right?" in reason.text
    server.refuse = None
    assert gate.wait(300)


# the copy on the disk

def test_the_copy_serves_the_next_start_and_is_for_nobody_else(server, made, tmp_path):
    path = tmp_path / "vigie"
    server.first = [("snapshot", "place-9", snapshot(4, [restriction("sus-1", customer="acme")], streams=STREAMS))]
    made(server.url, cache=path).wait(300)
    eventually(path.exists)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["vigie"]
    server.refuse = (503, {"Retry-After": "1"})
    gate = made(server.url, cache=path)
    assert (gate.state, gate.wait(0), gate.ask(customer="acme").version) == ("stale", True, 4)
    assert kinds(gate.ask(customer="acme")) == ["suspension", "stale"]
    eventually(lambda: any(headers.get("Last-Event-ID") == "place-9" for _, headers, _ in server.calls))
    assert made(nowhere(), cache=path).state == "stale"
    with Gate(server.url, KEY[:-1] + "1", cache=path) as other:
        assert other.state == "empty"


@pytest.mark.parametrize("spoil", [
    lambda text: b"", lambda text: text[:-20], lambda text: text.replace(b'"hold"', b'"slow"'), lambda text: b"\0" * 1000,
    lambda text: text.replace(b'"format": 1', b'"format": 2'),
])
def test_a_copy_that_is_not_whole_counts_as_none(server, made, tmp_path, spoil):
    path = tmp_path / "vigie"
    server.first = [("snapshot", "a", snapshot(4, [restriction("sus-1", customer="acme")]))]
    gate = made(server.url, cache=path)
    gate.wait(300)
    gate.close()
    path.write_bytes(spoil(path.read_bytes()))
    server.refuse = (503, {})
    assert made(server.url, cache=path).state == "empty"


def test_a_change_is_on_the_disk_soon_and_closing_writes_what_is_known(server, made, tmp_path):
    path = tmp_path / "vigie"
    gate = made(server.url, cache=path)
    gate.wait(300)
    server.say("change", {"version": 2, "set": [restriction("sus-new", customer="acme")], "removed": []}, "b")
    eventually(lambda: path.exists() and b"sus-new" in path.read_bytes())
    server.say("change", {"version": 3, "set": [restriction("sus-last", customer="acme")], "removed": []}, "c")
    eventually(lambda: gate.metrics()["version"] == 3)
    gate.close()
    assert b"sus-last" in path.read_bytes()


def test_an_old_copy_is_away_from_the_start(server, made, tmp_path):
    path = tmp_path / "vigie"
    with Gate(server.url, KEY, cache=path) as gate:
        gate.wait(300)
    server.refuse = (503, {})
    gate = made(server.url, cache=path, keep_seconds=0)
    assert gate.state == "away"


def test_a_copy_that_cannot_be_written_stops_nothing(server, made, tmp_path):
    gate = made(server.url, cache=tmp_path / "no folder" / "vigie")
    assert gate.wait(300)
    gate.close()


# what it lets through

def test_before_send_raises_held_with_the_decision(server, made):
    server.first = [("snapshot", "a", snapshot(1, [restriction("sus-1", provider="gmail")]))]
    gate = made(server.url)
    eventually(lambda: gate.state == "fresh")
    with pytest.raises(Held) as held:
        gate.before_send(customer="acme", recipient=["Ann", "<ann@gmail.com>"][1])
    assert (held.value.decision.decision, held.value.retry_after_seconds) == ("hold", 600)
    assert "sus-1" in str(held.value)
    assert gate.before_send(customer="acme", recipient="ann@orange.fr").decision == "send"


@pytest.mark.parametrize("wrong", [
    {"customer": ""}, {}, {"customer": "acme", "ip": "nonsense"}, {"customer": "acme", "flavour": "x"}, {"customer": "acme", "count": 0},
    {"customer": "acme", "count": True}, {"customer": 7},
])
def test_what_the_service_answers_422_is_a_value_error(server, made, wrong):
    gate = made(server.url)
    for call in (gate.ask, gate.before_send):
        with pytest.raises(ValueError, match=r"\w"):
            call(**wrong)
    with pytest.raises(ValueError, match="recipient"):
        gate.before_send(customer="acme", recipient="nobody")


def test_of_held_mail_the_probe_goes_through_the_same_recipients_at_every_try(server, made):
    server.first = [("snapshot", "a", snapshot(7, [restriction("sus-1", customer="acme") | {"probe": 0.2}]))]
    gate = made(server.url)
    assert gate.wait(300)

    def passed():
        through = []
        for number in range(300):
            try:
                gate.before_send(customer="acme", stream="news", recipient=f"r{number}@gmail.com")
            except Held:
                continue
            through.append(number)
        return through

    assert 30 < len(passed()) < 90
    assert passed() == passed()
    with pytest.raises(Held):
        gate.before_send(customer="acme", stream="news", recipient_domain="gmail.com")


def test_slow_mail_goes_through_evenly_and_no_faster(server, made, monkeypatch):
    server.first = [("snapshot", "a", snapshot(1, [
        restriction("sus-1", "slow", rate=3600, customer="acme"), restriction("sus-2", "slow", rate=360, customer="acme", stream="news"),
    ]))]
    gate = made(server.url)
    eventually(lambda: gate.state == "fresh")
    now = [time.monotonic()]
    monkeypatch.setattr(local_gate, "time", SimpleNamespace(monotonic=lambda: now[0]))
    gate.before_send(customer="acme", stream="other")
    with pytest.raises(Held) as held:
        gate.before_send(customer="acme", stream="news")
    assert (held.value.retry_after_seconds, held.value.decision.decision, held.value.decision.rate_per_hour) == (1, "slow", 360)
    through = 0
    for _ in range(400):
        now[0] += 0.25
        try:
            gate.before_send(customer="acme", stream="news")
            through += 1
        except Held:
            pass
    assert 9 <= through <= 11, "six a minute"
    gate.before_send(customer="bolt")


# allowances

def test_it_sends_within_what_it_has_reserved_and_returns_the_rest(server, made):
    server.allowances = {"alw-1": 1000}
    server.first = [("snapshot", "a", snapshot(1, allowances=[allowance(ip="192.0.2.7", provider="gmail")]))]
    gate = made(server.url, sender="mta-1")
    eventually(lambda: gate.state == "fresh")
    assert gate.ask(**MAIL).allowance_left == 0
    assert gate.ask(**MAIL | {"ip": "192.0.2.8"}).allowance_left is None
    with pytest.raises(Held) as held:
        gate.before_send(count=10, **MAIL)
    assert (kinds(held.value.decision), held.value.retry_after_seconds) == (["allowance"], 1)
    eventually(lambda: gate.ask(**MAIL).allowance_left >= 10)
    left = gate.ask(**MAIL).allowance_left
    assert gate.before_send(count=10, **MAIL).allowance_left == left - 10
    wanted = server.called("/v1/allowances/grant")[0]
    assert {name: wanted[name] for name in ("customer", "ip", "recipient_domain", "sender")} == {
        "customer": "acme", "ip": "192.0.2.7", "recipient_domain": "gmail.com", "sender": "mta-1"}
    assert 5 <= wanted["ttl_seconds"] <= 3600
    gate.close()
    assert sum(grant["used"] for grant in server.grants.values()) == 10
    assert server.allowances == {"alw-1": 990}


def test_none_left_is_held_with_the_pool_the_mail_may_go_to(server, made):
    server.allowances = {"alw-1": 0}
    server.first = [("snapshot", "a", snapshot(1, allowances=[allowance(ip="192.0.2.7", provider="gmail")]))]
    gate = made(server.url)
    eventually(lambda: gate.state == "fresh")

    def pool():
        with pytest.raises(Held) as held:
            gate.before_send(**MAIL)
        return held.value.decision.pool
    assert eventually(pool) == "overflow"


def test_an_exhausted_allowance_holds_but_for_what_is_reserved_already(server, made):
    server.allowances = {"alw-1": 1}
    server.first = [("snapshot", "a", snapshot(1, allowances=[allowance(cap=1, ip="192.0.2.7", provider="gmail")]))]
    gate = made(server.url)
    eventually(lambda: gate.state == "fresh")
    with pytest.raises(Held):
        gate.before_send(**MAIL)
    eventually(lambda: gate.ask(**MAIL).allowance_left == 1)
    spent = allowance(cap=1, exhausted=True, pool="shared", ip="192.0.2.7", provider="gmail")
    server.say("change", {"version": 2, "set": [], "removed": [], "allowances": [spent]}, "b")
    eventually(lambda: gate.metrics()["version"] == 2)
    assert gate.before_send(**MAIL).decision == "send"
    decision = gate.ask(**MAIL)
    assert (decision.decision, decision.pool, kinds(decision), decision.allowance_left) == ("hold", "shared", ["allowance"], 0)
    with pytest.raises(Held):
        gate.before_send(**MAIL)
    eventually(lambda: server.grants["gr-0"]["used"] == 1), "what was used is said at once"


def test_nothing_is_sent_on_a_grant_past_its_end(server, made, monkeypatch):
    monkeypatch.setattr(grants, "BEFORE_END_SECONDS", 0.0)
    server.allowances, server.seconds_of_a_grant = {"alw-1": 100}, 2
    server.first = [("snapshot", "a", snapshot(1, allowances=[allowance(ip="192.0.2.7", provider="gmail")]))]
    gate = made(server.url)
    eventually(lambda: gate.state == "fresh")
    with pytest.raises(Held):
        gate.before_send(**MAIL)
    eventually(lambda: gate.ask(**MAIL).allowance_left)
    server.refuse = (503, {})
    eventually(lambda: gate.ask(**MAIL).allowance_left == 0)
    with pytest.raises(Held):
        gate.before_send(**MAIL)
    server.refuse = None
    eventually(lambda: server.grants["gr-0"]["used"] == 0)


def test_many_threads_never_send_more_than_was_granted(server, made):
    server.allowances = {"alw-1": 300}
    server.first = [("snapshot", "a", snapshot(1, allowances=[allowance(cap=300, ip="192.0.2.7", provider="gmail")]))]
    gates = [made(server.url) for _ in range(3)]
    for gate in gates:
        eventually(lambda seen=gate: seen.state == "fresh")
    sent, lock, stop = [0], threading.Lock(), threading.Event()

    def send(gate):
        while not stop.is_set():
            try:
                gate.before_send(**MAIL)
            except Held:
                stop.wait(0.01)
            else:
                with lock:
                    sent[0] += 1

    threads = [threading.Thread(target=send, args=(gate,)) for gate in gates for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: sent[0] >= 300)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert sent[0] == 300
    for gate in gates:
        gate.close()
    assert sum(grant["used"] for grant in server.grants.values()) == 300


# how it is made and ended

@pytest.mark.parametrize("wrong", [
    {"url": "ftp://x"}, {"url": "nonsense"}, {"url": "http://user:word@x"}, {"key": ""}, {"key": "a\nb"}, {"keep_seconds": -1}, {"keep_seconds": "x"},
    {"timeout_seconds": 0}, {"away": {"marketing": "maybe"}}, {"away": {"spam": "hold"}}, {"sender": ""}, {"sender": "x" * 65}, {"cache": ""}, {"cache": 7},
    {"away": "hold"}, {"away": ["hold"]}, {"key": None}, {"url": None}, {"url": "http://x:99999"},
    {"keep_seconds": float("nan")},
])
def test_wrong_arguments_are_value_errors(wrong):
    for kind in (Gate, AsyncGate):
        with pytest.raises(ValueError, match=r"\w"):
            kind(**{"url": "http://127.0.0.1:1", "key": KEY} | wrong)


def test_one_daemon_thread_follows_and_ends(server):
    before = set(threading.enumerate())
    with Gate(server.url, KEY) as gate:
        gate.wait(300)
        [thread] = [each for each in set(threading.enumerate()) - before if "vigie" in each.name]
        assert thread.daemon
    assert not thread.is_alive()
    gate.close()
    assert gate.ask(customer="acme").decision == "send", "what is known goes on deciding"


def test_the_async_gate_is_the_same(server, tmp_path):
    server.allowances = {"alw-1": 1000}
    parts = {"allowances": [allowance(ip="192.0.2.7", provider="gmail")]}
    server.first = [("snapshot", "a", snapshot(1, [restriction("sus-1", customer="bolt")], **parts))]

    async def run():
        async with AsyncGate(server.url, KEY, cache=tmp_path / "vigie") as gate:
            assert await gate.wait(300)
            assert gate.state == "fresh"
            assert gate.ask(customer="bolt").decision == "hold"
            with pytest.raises(Held):
                await gate.before_send(customer="bolt")
            while True:
                try:
                    sent = await gate.before_send(**MAIL)
                except Held:
                    await asyncio.sleep(0.05)
                else:
                    break
            assert sent.decision == "send"
            return gate

    gate = asyncio.run(asyncio.wait_for(run(), 300))
    assert (tmp_path / "vigie").exists()
    assert sum(grant["used"] for grant in server.grants.values()) == 1
    assert gate.ask(customer="bolt").decision == "hold"
