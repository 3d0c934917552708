"""A real Vigie API on a free port of loopback, in this process."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import httpx

from monitor.access.keys import make_key
from monitor.api import GateIndex, Services, build_app, serve
from monitor.config.settings import Api
from monitor.facts import Store
from monitor.intake.mail import HandedMail
from tests.waiting import PATIENCE_SECONDS, ended, free_port

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Clock:
    """Stands still unless a test moves it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


class Vigie:
    """What a test talks to: clients by key, the store behind, the clock."""

    def __init__(self, store: Store, url: str, clock: Clock, gate: GateIndex) -> None:
        self.store, self.url, self.clock, self.gate = store, url, clock, gate
        self._clients: list[httpx.Client] = []

    def client(self, *scopes: str, customer: str | None = None) -> httpx.Client:
        """A client with a new key of these scopes; without scopes, one without a key."""
        headers = {}
        if scopes:
            row, key = make_key("-".join(scopes), scopes, customer, NOW)
            with self.store.session() as session:
                session.add(row)
            self.gate.refresh_keys(self.store)
            headers = {"Authorization": f"Bearer {key}"}
        client = httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE_SECONDS)
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()


@contextmanager
def running(store: Store, *, pages=None, actions=None, settings: Api | None = None, fault: str | None = None, **more) -> Iterator[Vigie]:
    clock, gate, port = Clock(), GateIndex(), free_port()
    services = Services(store, gate, clock, lambda batches: store.intake(batches, clock()), settings or Api(console="open"),
                        read_mail=HandedMail(store, {}, {}, clock).read, database_fault=lambda: fault, **more)
    stop, ready = threading.Event(), threading.Event()
    app = build_app(services, pages, actions)
    thread = threading.Thread(target=serve, args=(app, "127.0.0.1", port, stop), kwargs={"on_ready": ready.set})
    thread.start()
    vigie = Vigie(store, f"http://127.0.0.1:{port}", clock, gate)
    try:
        assert ready.wait(PATIENCE_SECONDS)
        yield vigie
    finally:
        vigie.close()
        stop.set()
        assert ended(thread)


class Seen(NamedTuple):
    status_code: int
    headers: httpx.Headers
    text: str


def seen(client: httpx.Client, request: httpx.Request) -> Seen:
    """An answer; of a stream, which never ends by itself, what comes up to its first sign of life."""
    with closing(client.send(request, stream=True)) as answer:
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            answer.read()
            return Seen(answer.status_code, answer.headers, answer.text)
        text = ""
        for piece in answer.iter_text():
            text += piece
            if "event: alive" in text:
                break
        return Seen(answer.status_code, answer.headers, text)
