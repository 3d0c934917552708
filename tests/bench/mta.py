"""KumoMTA's port, asked by a client that behaves as kumod does, and the Postfix policy server.

`idle_faults`: frames that kumod cannot stand in 90 s of silence (0). `change_to_applied_s`: from the call that holds or lifts to the moment
it is applied at a node that collects events for 3 s; `replay_10000_s`: from connecting until 10,000 suspensions were read;
`overlay_5000_ms`: one GET of an overlay of 5,000 entries, its making and check aside (`overlay_made_ms`); `records_per_second`: posts of one
record each over kept connections, committed before they are answered.
"""

import http.client
import json
import shutil
import socket
import statistics
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

from monitor.database.tables import Customer
from monitor.gate import build_index
from monitor.intake.consequences import open_store
from monitor.mta.kumomta.overlay import overlay
from monitor.mta.kumomta.translate import Rate, SchedKey, Suspension
from monitor.restrictions.follow import follow
from tests.monitor.mta.conftest import now, record, running
from tests.monitor.mta.test_postfix import Client, policy
from tests.servers.kumod import Websocket, strictly

IDLE_SECONDS, REPLAYED, ENTRIES, CHANGES = 90, 10_000, 5_000, 8
CONNECTIONS, POSTS, ASKED = 64, 6_400, 20_000


def run():
    folder = Path(tempfile.mkdtemp())
    try:
        with closing(open_store(f"sqlite:///{folder / 'vigie.sqlite'}")) as store:
            store.migrate()
            with store.session() as session:
                session.add(Customer(id="acme", name="Acme"))
            with running(store) as platform:
                figures = {
                    **_idle(platform), **_applied(platform), **_replayed(platform), **_overlay(platform), **_records(platform),
                }
            return {"bench": "mta", "figures": {**figures, **_policy(store)}, "ratio": {}}
    finally:
        shutil.rmtree(folder)


def _idle(platform):
    """The real 90 s."""
    node = platform.kumod(batch_seconds=3.0)
    time.sleep(IDLE_SECONDS)
    assert node.connects == 1
    return {"idle_faults": len(node.faults)}


def _applied(platform):
    stop = threading.Event()
    thread = threading.Thread(target=follow, args=(platform.gate, platform.store, now, stop))
    thread.start()
    node, took = platform.nodes[0], []
    for _ in range(CHANGES // 2):
        start = time.monotonic()
        held = platform.hold({"customer": "acme"})
        _until(lambda: node.holds(tenant="acme"))
        took.append(time.monotonic() - start)
        start = time.monotonic()
        platform.lift(held)
        _until(lambda: not node.holds(tenant="acme"))
        took.append(time.monotonic() - start)
    stop.set()
    thread.join()
    return {"change_to_applied_s_median": round(statistics.median(took), 2), "change_to_applied_s_most": round(max(took), 2)}


def _replayed(platform):
    hub = platform.speaker.hub
    spent = time.process_time()
    before, hub.held = hub.held, {SchedKey(None, f"d{number}.example", "acme"): Suspension("held", ("sus-1",), None) for number in range(REPLAYED)}
    took = []
    for _ in range(5):
        start = time.monotonic()
        connection = Websocket(f"{platform.url}/subscribe_event_v1", threading.Event())
        for _ in range(REPLAYED):
            connection.frame()
        took.append(time.monotonic() - start)
        connection.close()
    hub.held = before
    spent = (time.process_time() - spent) / len(took)  # of both ends
    return {"replay_10000_s": round(statistics.median(took), 3), "replay_10000_cpu_s": round(spent, 3)}


def _overlay(platform):
    rates = [Rate(f"vigie-{number}", 480, "h", "complaint rate 0.41 %", (f"sus-{number}",), None, None, None, (f"d{number}.example",)) for number in range(ENTRIES)]
    start = time.perf_counter()
    text = overlay(rates, denominators=True)
    made = time.perf_counter() - start
    platform.speaker.overlay = text.encode()
    took, host = [], platform.url.removeprefix("http://")
    for _ in range(20):
        connection = http.client.HTTPConnection(host)
        start = time.perf_counter()
        connection.request("GET", "/get_config_v1/shaping.toml")
        body = connection.getresponse().read()
        took.append(time.perf_counter() - start)
        connection.close()
    assert len(strictly(body.decode())) == ENTRIES + 1
    return {"overlay_5000_ms": round(1000 * statistics.median(took), 2), "overlay_bytes": len(body), "overlay_made_ms": round(1000 * made)}


def _records(platform):
    host, share = platform.url.removeprefix("http://"), POSTS // CONNECTIONS

    def post(first):
        connection = http.client.HTTPConnection(host)
        for number in range(first, first + share):
            connection.request("POST", "/publish_log_v1", json.dumps(record(id=f"{number:032x}")), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
        connection.close()

    threads = [threading.Thread(target=post, args=(number * share,)) for number in range(CONNECTIONS)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"records_per_second": round(POSTS / (time.monotonic() - start))}


def _policy(store):
    with policy(store) as platform:
        platform.gate._index = build_index((), version=0, built_at=now())  # noqa: SLF001
        client = Client(platform.url)
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start = time.monotonic()
        for _ in range(ASKED):
            client.ask(policy_context="customer=acme stream=news", sender="b@acme.example", recipient="u@gmail.com")
        took = time.monotonic() - start
        client.close()
    return {"policy_answers_per_second_one_connection": round(ASKED / took)}


def _until(question):
    while not question():
        time.sleep(0.01)


if __name__ == "__main__":
    print(json.dumps(run()))
