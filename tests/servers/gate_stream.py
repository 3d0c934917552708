"""The side of the contract that a sender talks to, by the page alone: it says what a test lets it say, and keeps what it was asked."""

import contextlib
import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from tests.waiting import eventually

KEY = "vigie_0000000000_" + "0" * 64
PROVIDERS = {"domains": {"gmail.com": "gmail", ".example.net": "example"}, "names": {"google": "gmail"}}


def snapshot(version: int = 1, restrictions=(), **parts: Any) -> dict[str, Any]:
    rest = {"allowances": [], "pools": {}, "streams": [], "providers": PROVIDERS} | parts
    return {"format": 1, "version": version, "stale_since": None, "restrictions": list(restrictions), **rest}


def restriction(of: str, effect: str = "hold", *, rate: int | None = None, until: datetime | None = None, **scope: str) -> dict[str, Any]:
    return {
        "id": of, "kind": "suspension", "scope": scope, "effect": effect, "rate_per_hour": rate, "text": of, "rule": None, "incident": None,
        "until": until and until.isoformat(), "lifts_when": None,
    }


def allowance(of: str = "alw-1", cap: int = 1000, *, exhausted: bool = False, pool: str | None = None, **scope: str) -> dict[str, Any]:
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    return {"id": of, "scope": scope, "cap": cap, "exhausted": exhausted, "pool": pool, "resets_at": ends}


class GateServer:
    """`first` is what a stream begins with; `say` sends an event to all that are open."""

    def __init__(self) -> None:
        self.first: list[tuple[str, str | None, Any]] = [("snapshot", "place-1", snapshot())]
        self.refuse: tuple[int, dict[str, str]] | None = None
        self.allowances: dict[str, int] = {}  # id → what is left
        self.seconds_of_a_grant = 300
        self.suppressed: set[str] = set()
        self.streams: list[BaseHTTPRequestHandler] = []
        self.calls: list[tuple[str, dict[str, str], Any]] = []
        self.grants: dict[str, dict[str, Any]] = {}
        self._by_key: dict[str, Any] = {}
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._get(self)

            def do_POST(self) -> None:
                outer._post(self)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()
        self._server.shutdown()
        self._server.server_close()

    def say(self, name: str, data: Any, of: str | None = None) -> None:
        eventually(lambda: self.streams)
        for stream in list(self.streams):
            self._write(stream, name, of, data)

    def alive(self, version: int = 1, stale_since: str | None = None) -> None:
        self.say("alive", {"version": version, "at": datetime.now(UTC).isoformat(), "stale_since": stale_since})

    def drop(self) -> None:
        """End every stream."""
        dropped, self.streams = self.streams, []
        for stream in dropped:
            with contextlib.suppress(OSError):
                stream.connection.shutdown(2)

    def called(self, path: str) -> list[Any]:
        return [body for where, _, body in self.calls if where == path]

    def _get(self, handler: BaseHTTPRequestHandler) -> None:
        path = urlsplit(handler.path).path
        self.calls.append((path, dict(handler.headers), None))
        if path != "/v1/gate/stream":
            _answer(handler, 404, {})
        elif self.refuse is not None:
            _answer(handler, self.refuse[0], {}, self.refuse[1])
        else:
            handler.send_response(200)
            handler.send_header("Content-Type", "text/event-stream")
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            for name, of, data in self.first:
                self._write(handler, name, of, data)
            self.streams.append(handler)
            done = threading.Event()
            while handler in self.streams:
                done.wait(0.05)

    def _post(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        self.calls.append((handler.path, dict(handler.headers), body))
        if self.refuse is not None:
            _answer(handler, self.refuse[0], {}, self.refuse[1])
            return
        with self._lock:
            if handler.path == "/v1/allowances/grant":
                _answer(handler, 200, self._granted(body, handler.headers["Idempotency-Key"]))
            elif handler.path == "/v1/allowances/return":
                _answer(handler, *self._returned(body))
            else:
                _answer(handler, 404, {})

    def _granted(self, body: Any, key: str) -> Any:
        if key not in self._by_key:
            count = min([body["count"], *self.allowances.values()])
            ends = (datetime.now(UTC) + timedelta(seconds=self.seconds_of_a_grant)).isoformat()
            of = f"gr-{len(self.grants)}" if count else None
            if of:
                self.allowances = {each: left - count for each, left in self.allowances.items()}
                self.grants[of] = {"granted": count, "used": None}
            self._by_key[key] = {
                "grant": of, "granted": count, "expires_at": ends if of else None, "retry_after_seconds": None if of else 2,
                "pool": None if of else "overflow", "allowances": [],
            }
        return self._by_key[key]

    def _returned(self, body: Any) -> tuple[int, Any]:
        grant = self.grants.get(body["grant"])
        if grant is None:
            return 404, {}
        if grant["used"] is None:
            self.allowances = {each: left + grant["granted"] - body["used"] for each, left in self.allowances.items()}
        grant["used"] = body["used"]
        return 200, body | {"granted": grant["granted"], "returned": grant["granted"] - body["used"], "late": False, "allowances": []}

    def _write(self, handler: BaseHTTPRequestHandler, name: str, of: str | None, data: Any) -> None:
        text = data if isinstance(data, str) else json.dumps(data)
        event = f"event: {name}\n{f'id: {of}' + chr(10) if of else ''}data: {text}\n\n".encode()
        try:
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
            handler.wfile.flush()
        except OSError:
            if handler in self.streams:
                self.streams.remove(handler)


def _answer(handler: BaseHTTPRequestHandler, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
    text = json.dumps(body).encode()
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(text)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(text)
