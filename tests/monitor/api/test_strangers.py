"""What a stranger, without a key or with a name of his own, can make the service do: nothing."""

import contextlib
import gzip
import socket
import sys
import threading
import time

import httpx
import pytest
from fastapi.routing import APIRoute

from monitor.api.app import ROUTERS
from monitor.api.body import LARGEST, bounded, read_json, unpacked
from monitor.api.front import Hosts
from monitor.api.problem import Problem
from monitor.config.settings import Api
from tests.monitor.api.running import running
from tests.waiting import PATIENCE_SECONDS

WITH_BODY = sorted({
    (method, route.path) for module in ROUTERS for route in module.router.routes if isinstance(route, APIRoute)
    for method in route.methods - {"GET", "DELETE"}
} | {("POST", "/v1/decision"), ("POST", "/v1/decisions")})  # fmt: skip


def filled(path):
    for name, value in {"kind": "ips", "key:path": "x", "incident_id": "x", "case_id": "x", "action": "x", "source": "nobodys"}.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def head(method, path, *headers):
    lines = (f"{method} {filled(path)} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers, "", "")
    return "\r\n".join(lines).encode()


@contextlib.contextmanager
def connection(vigie):
    url = httpx.URL(vigie.url)
    with socket.create_connection((url.host, url.port), 60) as sock:
        yield sock


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
def test_the_key_is_asked_for_before_a_byte_of_the_body_has_come(sqlite_vigie, method, path):
    vigie = sqlite_vigie
    unfit = vigie.client("gate" if path == "/v1/silences/preview" else "read").headers["Authorization"]  # a preview only reads
    refused = (b" 404 ", b" 404 ") if path.endswith("/{source}") else (b" 401 ", b" 403 ")  # a webhook's proof is in its body: its name comes first
    for authorization, status in zip(("X-Y: z", f"Authorization: {unfit}"), refused, strict=True):
        with connection(vigie) as sock:
            sock.sendall(head(method, path, authorization, "Content-Length: 10000000"))
            assert status in sock.recv(4096).partition(b"\r\n")[0]


@pytest.fixture(scope="module")
def sqlite_vigie(tmp_path_factory):
    from monitor.intake.consequences import open_store

    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('strangers') / 'vigie.sqlite'}")
    store.migrate()
    with running(store) as vigie:
        yield vigie
    store.close()


def test_a_large_body_without_a_key_holds_up_no_decision(sqlite_vigie):
    vigie = sqlite_vigie
    sender, done = vigie.client("gate"), threading.Event()

    def stranger():
        with contextlib.suppress(httpx.TransportError):
            httpx.post(f"{vigie.url}/v1/suspensions", content=b"[" + b"[]," * 5_300_000 + b"[]]", timeout=60)
        done.set()

    threading.Thread(target=stranger).start()
    while not done.is_set():
        assert sender.post("/v1/decision", json={"customer": "acme"}).status_code == 200


def test_the_size_of_a_body_is_bounded_by_what_the_call_takes(sqlite_vigie):
    operator = sqlite_vigie.client("operate")
    answer = operator.post("/v1/suspensions", content=b" " * (LARGEST + 1))
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


@pytest.mark.parametrize("unit", [b"{},", b"[],", b'"ab",', b"1,"])
def test_json_of_too_many_values_is_refused_before_it_is_decoded(unit):
    body = gzip.compress(b"[" + unit * 5_000_000 + b"1]", 1)
    with pytest.raises(Problem) as refused:
        read_json(unpacked(body, "gzip"))
    assert refused.value.status_code == 413


def test_a_body_that_does_not_come_ends_the_call(monkeypatch):
    import asyncio

    monkeypatch.setattr("monitor.api.body.IDLE_SECONDS", 0.01)

    async def never():
        await asyncio.Event().wait()

    async def read():
        await bounded(never, 10)()

    with pytest.raises(Problem) as refused:
        asyncio.run(read())
    assert refused.value.status_code == 408


def test_a_connection_that_does_not_finish_its_headers_is_closed(store, monkeypatch):
    monkeypatch.setattr(sys.modules["monitor.api.serve"], "HEADER_SECONDS", 1)
    with running(store) as vigie, connection(vigie) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        while sock.recv(4096):  # at most an answer (408), then the end
            pass


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("localhost", True), ("LOCALHOST:9", True), ("127.0.0.1:80", True), ("127.9.9.9", True), ("[::1]:8080", True), ("localhost.", True),
        ("evil.example", False), ("127.0.0.1.evil.example", False), ("localhost.evil.example", False), ("192.0.2.1", False),
        ("", False), ("evil.example:127", False), ("[::2]", False), ("evil@localhost", False), ("xn--", False),
    ],
)  # fmt: skip
def test_only_known_host_names_are_answered_to(sqlite_vigie, host, answered):
    for path in ("/", "/healthz", "/v1/decision", "/v1/runs", "/openapi.json", "/nowhere"):
        answer = sqlite_vigie.client().get(path, headers={"Host": host})
        assert (answer.status_code != 421) is answered, (host, path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        if not answered:
            assert answer.headers["content-type"] == "application/problem+json"


def test_names_of_the_configuration_are_answered_to_and_any_address_where_all_are_listened_on():
    settings = Api(listen="0.0.0.0:80", hosts=("vigie.example.com",), public_url="https://ops.example.com/")
    hosts = Hosts(settings.host_names, literals=settings.listens_everywhere)
    for name in (b"vigie.example.com:8080", b"ops.example.com", b"192.0.2.1", b"[2001:db8::1]:80"):
        assert hosts.answers_to(name)
    assert not hosts.answers_to(b"evil.example")


def test_a_request_with_two_hosts_must_know_both(sqlite_vigie):
    with connection(sqlite_vigie) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert sock.recv(4096).split(b" ")[1] in {b"421", b"400"}


def test_waiting_for_slow_callers_takes_no_time_from_others(sqlite_vigie):
    with contextlib.ExitStack() as open_ones:
        for _ in range(200):
            sock = open_ones.enter_context(connection(sqlite_vigie))
            sock.sendall(b"POST /v1/events/generic HTTP/1.1\r\nHost: localhost\r\n")
        began = time.monotonic()
        assert sqlite_vigie.client().get("/healthz").status_code == 200
        assert time.monotonic() - began < 20  # generous: what is wanted is an answer at all


@pytest.mark.parametrize("path", ["/v1/decision", "/v1/decisions", "/v1/events/generic", "/v1/mail", "/act/xyz"])
@pytest.mark.parametrize("broken", [b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"Content-Length: 90\r\n\r\n{}"], ids=["no chunk", "cut short"])
def test_what_is_no_body_is_answered_400_and_never_500(vigie, path, broken):
    host, port = vigie.url.removeprefix("http://").split(":")
    key = vigie.client("gate", "events").headers["authorization"]
    with socket.create_connection((host, int(port)), PATIENCE_SECONDS) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {key}\r\n".encode() + broken)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(4096)
    assert not answer or answer.split()[1].startswith(b"4"), answer
