"""How soon senders that follow know of a change, and how many grants a second are given.

`change_to_sender_p99_ms`: from the answer to the call that made the change, to the first local decision that shows it, of a `Gate`
that follows another process of the same database than the one called, 100 connected in all; half of the changes are lifts.
`fact_to_hold_p99_ms`: from the call that brings an SMTP reply (a block of a sending IP) to the first local decision that holds by
the rule that follows from it. `grants_per_second`: 8 callers, one after another each, of one allowance.

Each process is a `vigie run` or `vigie serve` of its own on one SQLite file; the callers are this process.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from monitor.sender import Gate

CONNECTED, CHANGES, FACTS, GRANT_SECONDS, GRANT_CALLERS = 100, 200, 30, 5.0, 8
_LIMIT = 60.0
_CONFIG = """
engine: {{url: "sqlite:///{folder}/vigie.sqlite", max_held_share: 100%}}
api: {{listen: "127.0.0.1:{port}", console: open}}
inventory: inventory.yaml
warmup: {{plans: {{bench: {{per_day: [1000000, 1000000]}}}}}}
rules:
  - id: complaint-rate
    condition: ratio
    signal: complaints
    severity: critical
    window: 1h
    above: 0.3%
    clear: {{below: 0.2%}}
    effect: {{action: hold, scope: [customer, stream], at_most: 1h}}
    runbook: ask the customer
"""


def run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, _processes(Path(folder)) as (config, urls, key):
        here, there = (httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=_LIMIT) for url in urls)
        with contextlib.ExitStack() as stack:
            gate = stack.enter_context(Gate(urls[1], key))
            for number in range(CONNECTED - 1):
                stack.callback(_reader(urls[number % 2], key).close)
            if not gate.wait(_LIMIT):
                raise TimeoutError("the gate does not hear its service")
            changes = [each for number in range(CHANGES // 2) for each in _change(here, gate, number)]
            facts = [_fact(here, gate, number) for number in range(FACTS)]
        grants = _grants(urls, key, config)
        here.close()
        there.close()
    figures = {
        "change_to_sender_p99_ms": round(_p99(changes), 1), "change_to_sender_median_ms": round(statistics.median(changes), 1),
        "fact_to_hold_p99_ms": round(_p99(facts), 1), "fact_to_hold_median_ms": round(statistics.median(facts), 1),
        "grants_per_second": round(grants), "load": round(os.getloadavg()[0], 1),
    }
    return {"bench": "gate_propagation", "figures": figures, "ratio": {}}


@contextlib.contextmanager
def _processes(folder: Path) -> Iterator[tuple[Path, list[str], str]]:
    """`vigie run` and `vigie serve` on one database: its configuration, their addresses, a key."""
    customers = "".join(f"  - {{id: c{number}, name: C{number}, streams: [news]}}\n" for number in range(FACTS))
    folder.joinpath("inventory.yaml").write_text(f"customers:\n{customers}ips: [{{address: 192.0.2.7}}]\n")
    ports = [_free_port(), _free_port()]
    configs = [folder / f"{port}.yaml" for port in ports]
    for port, config in zip(ports, configs, strict=True):
        config.write_text(_CONFIG.format(folder=folder, port=port))
    key = _vigie("keys", "create", "--name", "bench", *(word for scope in ("gate", "operate", "events") for word in ("--scope", scope)), config=configs[0]).split()[-1]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    with folder.joinpath("log").open("wb") as log:
        running = []
        try:
            for command, config, url in zip(("run", "serve"), configs, urls, strict=True):
                running.append(subprocess.Popen([sys.executable, "-m", "monitor", command, "--config", str(config)], stdout=log, stderr=log))
                _until(lambda url=url: _ready(url))
            yield configs[0], urls, key
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(_LIMIT)


def _change(client: httpx.Client, gate: Gate, number: int) -> list[float]:
    """Milliseconds from the answer to a hold, and to its lift, to the decision that shows it."""
    domain = f"d{number}.example"
    held = client.post("/v1/suspensions", json={"scope": {"domain": domain}, "reason": "bench"}).raise_for_status()
    until_held = _milliseconds(lambda: gate.ask(customer="c1", domain=domain).decision == "hold")
    client.delete(f"/v1/suspensions/{held.json()['id']}", params={"reason": "bench"}).raise_for_status()
    return [until_held, _milliseconds(lambda: gate.ask(customer="c1", domain=domain).decision == "send")]


def _milliseconds(question: Any) -> float:
    began = time.perf_counter()
    _until(question)
    return 1000 * (time.perf_counter() - began)


def _fact(client: httpx.Client, gate: Gate, number: int) -> float:
    """Milliseconds from the call that brings complaints to the decision that holds their stream."""
    about = {"at": datetime.now(UTC).isoformat(), "customer": f"c{number}", "stream": "news", "recipient_domain": "yahoo.com"}
    client.post("/v1/events/generic", json=[about | {"outcome": "delivered", "count": 5_000}]).raise_for_status()
    time.sleep(0.5)
    began = time.perf_counter()
    client.post("/v1/events/generic", json=[about | {"outcome": "complaint", "count": 100}]).raise_for_status()
    _until(lambda: gate.ask(customer=f"c{number}", stream="news").decision == "hold")
    return 1000 * (time.perf_counter() - began)


def _grants(urls: list[str], key: str, config: Path) -> float:
    _vigie("warmup", "start", "--ip", "192.0.2.7", "--provider", "gmail", "--plan", "bench", "--reason", "bench", config=config)
    counts, stop = [0] * GRANT_CALLERS, threading.Event()

    def call(number: int) -> None:
        wanted = {"customer": "c1", "ip": "192.0.2.7", "provider": "gmail", "count": 1, "sender": f"bench-{number}"}
        with httpx.Client(base_url=urls[number % 2], headers={"Authorization": f"Bearer {key}"}, timeout=_LIMIT) as client:
            while not stop.is_set():
                answer = client.post("/v1/allowances/grant", json=wanted)
                if answer.raise_for_status().json()["granted"] != 1:
                    raise ValueError(f"not granted: {answer.text}")
                counts[number] += 1

    threads = [threading.Thread(target=call, args=(number,)) for number in range(GRANT_CALLERS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    stop.wait(GRANT_SECONDS)
    stop.set()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def _reader(url: str, key: str) -> socket.socket:
    """Somebody else who follows: takes what comes, in a thread."""
    host, port = url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(f"GET /v1/gate/stream HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n".encode())

    def read() -> None:
        with contextlib.suppress(OSError):
            while connection.recv(65536):
                pass

    threading.Thread(target=read, daemon=True).start()
    return connection


def _vigie(*words: str, config: Path) -> str:
    command = [sys.executable, "-m", "monitor", *words, "--config", str(config)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=_LIMIT).stdout


def _ready(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/readyz", timeout=_LIMIT).status_code == 200
    return False


def _until(question: Any) -> None:
    ends = time.monotonic() + _LIMIT
    while not question():
        if time.monotonic() > ends:
            raise TimeoutError(f"not within {_LIMIT} s")
        time.sleep(0.001)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _p99(milliseconds: list[float]) -> float:
    return sorted(milliseconds)[max(0, -(-len(milliseconds) * 99 // 100) - 1)]


if __name__ == "__main__":
    print(json.dumps(run()))
