"""How many decisions a second one API process gives over HTTP, beside a bare ASGI application.

Both are served by `monitor.api.serve` in this process; the callers are a process of their own: 32 connections, kept
alive, each with one request under way. 10,000 restrictions in force, a key checked on every call. The reference
answers the same number of bytes and does nothing else. They take turns; the median round counts.

`python -m tests.bench.gate_http` prints one JSON line.
"""

from __future__ import annotations

import json
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from monitor.access.keys import make_key
from monitor.api import GateIndex, Services, build_app, serve
from monitor.database.tables import Suspension
from monitor.facts import Store
from monitor.intake.consequences import open_store
from monitor.restrictions.suspensions import scope_key

ROUNDS, SECONDS, CONNECTIONS, RESTRICTIONS = 5, 2.0, 32, 10_000
BODY = b'{"customer":"customer-7","stream":"news","ip":"192.0.2.7","recipient_domain":"gmail.com","count":25}'


def utc_now() -> datetime:
    return datetime.now(UTC)


def run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, closing(open_store(f"sqlite:///{Path(folder, 'bench.sqlite')}")) as store:
        store.migrate()
        key = _fill(store)
        gate = GateIndex()
        ours = build_app(Services(store, gate, utc_now, lambda batches: store.intake(batches, utc_now())))
        stop = threading.Event()
        ports = [_serve(ours, stop), _serve(_bare, stop)]
        rates: list[list[float]] = [[], []]
        for _ in range(ROUNDS):
            for port, rates_of_port in zip(ports, rates, strict=True):
                rates_of_port.append(_call(port, key))
        stop.set()
    decisions, bare = (statistics.median(rate) for rate in rates)
    return {
        "bench": "gate_http",
        "figures": {"decisions_per_second": round(decisions)},
        "ratio": {"bare_asgi": round(decisions / bare, 2)},
    }


def _fill(store: Store) -> str:
    row, key = make_key("bench", ["gate"], None, utc_now())
    with store.session() as session:
        session.add(row)
        for number in range(RESTRICTIONS):
            scope = {"customer": f"customer-{number // 10}", "campaign": f"mailing-{number}"}
            session.add(Suspension(
                id=f"sus-{number}", scope=scope, scope_key=scope_key(scope), effect="hold", actor="bench", text="bench",
                since=utc_now(),
            ))
    return key


def _serve(app: Any, stop: threading.Event) -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    ready = threading.Event()
    threading.Thread(target=serve, args=(app, "127.0.0.1", port, stop), kwargs={"on_ready": ready.set}).start()
    if not ready.wait(30):
        raise TimeoutError("the server did not start")
    return port


async def _bare(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"171")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b" " * 171})


def _call(port: int, key: str) -> float:
    caller = [sys.executable, "-m", "tests.bench.gate_http", "call", str(port), key]
    return float(subprocess.run(caller, check=True, capture_output=True, text=True, timeout=60).stdout)


def _calls(port: int, key: str) -> float:
    """Calls a second, for a while; the callers' side."""
    request = (
        b"POST /v1/decision HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s"
        % (key.encode(), len(BODY), BODY)
    )
    ready = selectors.DefaultSelector()
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        ready.register(connection, selectors.EVENT_READ)
        connection.sendall(request)
    answered, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        for chosen, _ in ready.select(1):
            connection = chosen.fileobj
            assert isinstance(connection, socket.socket)
            if not connection.recv(4096).startswith(b"HTTP/1.1 200"):
                raise ValueError("not answered")
            answered += 1
            connection.sendall(request)
    return answered / (time.perf_counter() - began)


if __name__ == "__main__":
    if sys.argv[1:2] == ["call"]:
        print(_calls(int(sys.argv[2]), sys.argv[3]))
    else:
        print(json.dumps(run()))
