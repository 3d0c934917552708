"""How many decisions a second one API process gives over HTTP, and the processor it takes, beside a bare ASGI application.

Both are served by `monitor.api.serve`, each in a process of its own; the callers are a third: 32 connections, kept alive,
each with one request under way. 10,000 suspensions in force, a key checked on every call, 2,000 different requests of
which half meet a suspension. The reference reads the request, answers as many bytes and does nothing else. They take
turns; the median round counts. The ratio is of the processor's time per call, and beside it of the calls a second: beside
other work only the first stays comparable.

`python -m tests.bench.gate_http` prints one JSON line.
"""

from __future__ import annotations

import json
import selectors
import signal
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
from typing import Any, NamedTuple

from monitor.access.keys import make_key
from monitor.api import GateIndex, Services, build_app, serve
from monitor.database.tables import Suspension
from monitor.facts import Store
from monitor.intake.consequences import open_store
from monitor.restrictions.suspensions import scope_key

ROUNDS, SECONDS, CONNECTIONS, RESTRICTIONS, DIFFERENT = 15, 0.7, 32, 10_000, 2_000


class Round(NamedTuple):
    """Calls a second, and microseconds of the server's processor for each."""

    rate: float
    cpu_us: float


def utc_now() -> datetime:
    return datetime.now(UTC)


def body(number: int) -> bytes:
    """Every other one names a campaign that is held."""
    campaign = number if number % 2 else RESTRICTIONS + number
    return json.dumps({
        "customer": f"customer-{number // 10}", "stream": "news", "campaign": f"mailing-{campaign}", "ip": "192.0.2.7",
        "recipient_domain": "gmail.com", "count": 25,
    }, separators=(",", ":")).encode()  # fmt: skip


def run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder, 'bench.sqlite')}"
        with closing(open_store(url)) as store:
            store.migrate()
            key = _fill(store)
        ours, port = _start("serve", url)
        lengths = _lengths(port, key)
        bare, bare_port = _start("bare", *map(str, lengths))
        try:
            turns = [(_call(port, key, ours.pid), _call(bare_port, key, bare.pid)) for _ in range(ROUNDS)]
        finally:
            for server in (ours, bare):
                server.send_signal(signal.SIGTERM)
                server.wait(30)
    decisions, reference = (Round(*map(statistics.median, zip(*rounds, strict=True))) for rounds in zip(*turns, strict=True))
    return {
        "bench": "gate_http",
        "figures": {
            "decisions_per_second": round(decisions.rate), "server_cpu_us": round(decisions.cpu_us, 1),
            "bare_per_second": round(reference.rate), "bare_cpu_us": round(reference.cpu_us, 1),
            "bytes": [*lengths],
        },
        "ratio": {
            "bare_asgi_cpu": round(reference.cpu_us / decisions.cpu_us, 2),
            "bare_asgi": round(decisions.rate / reference.rate, 2),
        },
    }  # fmt: skip


def _fill(store: Store) -> str:
    row, key = make_key("bench", ["gate"], None, utc_now())
    with store.session() as session:
        session.add(row)
        for number in range(RESTRICTIONS):
            scope = {"customer": f"customer-{number // 10}", "campaign": f"mailing-{number}"}
            session.add(Suspension(
                id=f"sus-{number}", scope=scope, scope_key=scope_key(scope), effect="hold", actor="bench",
                text="complaint rate 0.41 % (lower bound 0.33 %) over 24 h", since=utc_now(),
            ))  # fmt: skip
    return key


def _start(*arguments: str) -> tuple[subprocess.Popen[str], int]:
    """A server in a process of its own, and its port once it answers."""
    command = [sys.executable, "-m", "tests.bench.gate_http", *arguments]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    return server, int(server.stdout.readline())


def _serve(app: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    serve(app, "127.0.0.1", port, stop, on_ready=lambda: print(port, flush=True))


def _ours(url: str) -> None:
    with closing(open_store(url)) as store:
        _serve(build_app(Services(store, GateIndex(), utc_now, lambda batches: store.intake(batches, utc_now()))))


def _bare(lengths: list[int]) -> None:
    answers = [b" " * length for length in lengths]
    served = 0

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        nonlocal served
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
            return
        await receive()
        served += 1
        content = answers[served % len(answers)]
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    _serve(bare)


def _request(content: bytes, key: str) -> bytes:
    return (
        b"POST /v1/decision HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (key.encode(), len(content), content)
    )


def _lengths(port: int, key: str) -> list[int]:
    """How many bytes a send and a hold have."""
    lengths = []
    for number, decision in ((0, b'"send"'), (1, b'"hold"')):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(_request(body(number), key))
            answer = connection.recv(65536)
        assert decision in answer, answer
        lengths.append(len(answer.partition(b"\r\n\r\n")[2]))
    return lengths


def _call(port: int, key: str, server: int) -> Round:
    caller = [sys.executable, "-m", "tests.bench.gate_http", "call", str(port), key]
    before = _cpu(server)
    answered, seconds = json.loads(subprocess.run(caller, check=True, capture_output=True, text=True, timeout=60).stdout)
    return Round(answered / seconds, (_cpu(server) - before) / answered * 1e6)


def _cpu(pid: int) -> float:
    """Seconds of processor a process took, its threads too (Linux)."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def _calls(port: int, key: str) -> tuple[int, float]:
    """Calls, and for how long; the callers' side."""
    requests = [_request(body(number), key) for number in range(DIFFERENT)]
    ready = selectors.DefaultSelector()
    for number in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        ready.register(connection, selectors.EVENT_READ)
        connection.sendall(requests[number])
    answered, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        for chosen, _ in ready.select(1):
            connection = chosen.fileobj
            assert isinstance(connection, socket.socket)
            if not connection.recv(4096).startswith(b"HTTP/1.1 200"):
                raise ValueError("not answered")
            answered += 1
            connection.sendall(requests[(answered * 7) % DIFFERENT])
    return answered, time.perf_counter() - began


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["call", port, key]:
            print(json.dumps(_calls(int(port), key)))
        case ["serve", url]:
            _ours(url)
        case ["bare", *lengths]:
            _bare([int(length) for length in lengths])
        case _:
            print(json.dumps(run()))
