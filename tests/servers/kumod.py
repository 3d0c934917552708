"""A client that behaves as a stock kumod does towards its TSA daemon, written from the sources of KumoMTA (shaping.lua, mod-http, types).

What kumod cannot stand fails here: a websocket frame that is no text (`faults`), an overlay with an unknown option or a rate of 0,
a refused record that is not wanted again. `batch_seconds`: how long events are collected before they are applied (3 s there);
`sleep_seconds`: between two tries to connect (30 s there).
"""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import threading
import time
import tomllib
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx

PING, PONG, CLOSE, TEXT = 0x9, 0xA, 0x8, 0x1
SPEC = re.compile(r"^(local:)?(?P<limit>[0-9][0-9_,]*)/([0-9][0-9_,]*)?(s|sec|second|m|min|minute|h|hr|hour|d|day)(,max_burst=(?P<burst>[0-9]+))?$")
RATES = {"max_connection_rate", "max_message_rate", "source_selection_rate"}
TABLES = {"additional_connection_limits", "additional_message_rate_throttles", "additional_source_selection_rates"}
NUMBERS = {"connection_limit", "max_deliveries_per_connection", "max_recipients_per_batch", "max_ready",
           "consecutive_connection_failures_before_delay"}
OF_PROVIDER = {"provider_max_message_rate", "provider_source_selection_rate", "provider_connection_limit", "match"}
TLS = {"Opportunistic", "OpportunisticInsecure", "Required", "RequiredInsecure", "Disabled"}


class Kumod:
    """`start()` subscribes; `ready`, `sched` are what it holds: name or criteria → (end, reason)."""

    def __init__(self, url, *, batch_seconds=3.0, sleep_seconds=30.0, offset_seconds=0.0, endpoint="subscribe_event_v1"):
        self.url, self.batch_seconds, self.sleep_seconds = url, batch_seconds, sleep_seconds
        self.offset_seconds = offset_seconds  # of its clock
        self.ready, self.sched, self.faults, self.applied_at = {}, {}, [], []
        self.connects, self.frames, self.endpoint = 0, [], endpoint
        self._stop, self._thread, self._lock = threading.Event(), None, threading.Lock()

    # ── events ──

    def start(self):
        self._stop.clear()
        self._thread = threading.Thread(target=self._subscribe, daemon=True)
        self._thread.start()
        return self

    def stop(self):
        self._stop.set()
        self._thread.join(60)

    def _subscribe(self):
        while not self._stop.is_set():
            try:
                self.listen()
            except NotFound:
                self.endpoint = "subscribe_suspension_v1"
                continue
            except OSError:
                pass
            self._stop.wait(self.sleep_seconds)

    def listen(self):
        """One connection until it ends. Raises OSError, NotFound."""
        connection = Websocket(f"{self.url}/{self.endpoint}", self._stop)
        self.connects += 1
        try:
            while not self._stop.is_set():
                kind, payload = connection.frame()
                batch, ends = [(kind, payload)], time.monotonic() + self.batch_seconds
                while (left := ends - time.monotonic()) > 0 and kind != CLOSE:
                    frame = connection.frame(left)
                    if frame is None:
                        break
                    kind, payload = frame
                    batch.append(frame)
                self._apply(batch)
                if kind == CLOSE:
                    return
        finally:
            connection.close()

    def _apply(self, batch):
        now = time.time() + self.offset_seconds
        with self._lock:
            for kind, payload in batch:
                if kind == CLOSE:
                    continue
                if kind != TEXT:
                    self.faults.append(f"a frame of kind {kind:#x}")  # kumod panics at a ping
                    continue
                event = json.loads(payload)
                self.frames.append(event)
                ((name, body),) = event.items()
                end = now + max(0.0, _seconds(body["expires"]) - now)
                if name in ("ReadyQSuspension", "ReadyQ"):
                    self.ready[body["site_name"]] = (end, body["reason"], body["rule_hash"])
                elif name in ("SchedQSuspension", "SchedQ"):
                    criteria = (body.get("campaign"), body.get("domain"), body.get("tenant"))
                    if criteria == (None, None, None):
                        self.faults.append("a suspension of every queue")
                    self.sched[criteria] = (end, body["reason"], body["rule_hash"])
                else:
                    self.faults.append(f"unexpected {name}")
            self.applied_at.append(time.monotonic())

    def holds(self, *, campaign=None, tenant=None, domain=None, ready=None):
        """Whether mail of this queue waits now."""
        now = time.time() + self.offset_seconds
        with self._lock:
            if ready is not None:
                return self.ready.get(ready, (0, ""))[0] > now
            return any(
                end > now and all(want is None or want == have for want, have in zip(criteria, (campaign, domain, tenant), strict=True))
                for criteria, (end, *_) in self.sched.items()
            )

    # ── records and overlay ──

    def publish(self, record, *, tries=3, wait_seconds=60.0):
        """As the hook posts: the answer's status; tried again while it is no success."""
        body = record if isinstance(record, bytes) else json.dumps(record).encode()
        for left in reversed(range(tries)):
            try:
                status = httpx.post(f"{self.url}/publish_log_v1", content=body, headers={"Content-Type": "application/json"}, timeout=60).status_code
            except httpx.TransportError:
                status = None
            if status is not None and 200 <= status < 300:
                return status
            if left:
                time.sleep(wait_seconds)
        return status

    def shaping(self):
        """The overlay as kumod loads it: {} where it could not be had; raises Refused for one it would stumble over."""
        answer = httpx.get(f"{self.url}/get_config_v1/shaping.toml", timeout=5)
        return strictly(answer.text) if answer.is_success else {}


class NotFound(Exception):
    """HTTP error: 404 Not Found."""


class Refused(ValueError):
    """kumod makes no new queues with this text."""


def strictly(text):
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Refused(str(error)) from None
    for name, block in parsed.items():
        if name == "provider":
            for provider, inner in block.items():
                _block(f"provider {provider}", inner, of_provider=True)
        else:
            if "." not in name and name != "default":
                raise Refused(f"{name}: nested table or no domain")
            _block(name, block, of_provider=False)
    return parsed


def _block(where, block, *, of_provider):
    for name, value in block.items():
        if name in ("mx_rollup", "replace_base"):
            if not isinstance(value, bool):
                raise Refused(f"{where}: {name}")
        elif name == "automation":
            for rule in value:
                if not {"regex", "action", "duration"} <= set(rule) <= {"regex", "action", "duration", "trigger", "match_internal"}:
                    raise Refused(f"{where}: {rule}")
        elif name == "sources":
            for source, options in value.items():
                for option, given in options.items():
                    _option(f"{where} from {source}", option, given, of_provider=of_provider)
        else:
            _option(where, name, value, of_provider=of_provider)


def _option(where, name, value, *, of_provider):
    if name in RATES or (of_provider and name in OF_PROVIDER and name.endswith("_rate")):
        _spec(where, value)
    elif name in TABLES:
        for spec in value.values():
            _spec(where, spec) if name != "additional_connection_limits" else _positive(where, spec)
    elif name in NUMBERS or (of_provider and name == "provider_connection_limit"):
        _positive(where, value)
    elif name == "enable_tls":
        if value not in TLS:
            raise Refused(f"{where}: {value}")
    elif not name.endswith("_timeout") and not (of_provider and name == "match"):
        raise Refused(f"{where}: unknown option {name}")


def _spec(where, text):
    match = SPEC.match(text) if isinstance(text, str) else None
    if match is None or int(re.sub("[_,]", "", match["limit"])) < 1 or (match["burst"] is not None and int(match["burst"]) < 1):
        raise Refused(f"{where}: {text!r}")


def _positive(where, value):
    number = str(value).removeprefix("local:")
    if not number.isdecimal() or int(number) < 1:
        raise Refused(f"{where}: {value!r}")


def _seconds(instant):
    at = datetime.fromisoformat(instant)
    assert at.tzinfo is not None, instant
    return at.astimezone(UTC).timestamp()


class Websocket:
    """RFC 6455, as much of it as a client that only listens needs; every frame is seen, control frames too."""

    def __init__(self, url, stop):
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=60)
        self._stop, self._buffer, self._at = stop, b"", 0
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._buffer:
            self._more(60)
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        self.status = int(head.split()[1])
        if self.status != 101:
            self._socket.close()
        if self.status == 404:
            raise NotFound
        if self.status != 101:
            raise ConnectionError(f"HTTP error: {self.status}")

    def _more(self, seconds):
        self._socket.settimeout(seconds)
        data = self._socket.recv(262_144)
        if not data:
            raise ConnectionError("closed")
        self._buffer, self._at = self._buffer[self._at :] + data, 0

    def frame(self, seconds=None):
        """(opcode, payload); None when `seconds` are over."""
        ends = None if seconds is None else time.monotonic() + seconds
        while (frame := self._whole()) is None:
            left = 0.2 if ends is None else min(0.2, ends - time.monotonic())
            if left <= 0:
                return None
            if self._stop.is_set():
                raise ConnectionError("stopped")
            try:
                self._more(max(left, 0.001))
            except TimeoutError:
                continue
        return frame

    def _whole(self):
        data, start = self._buffer, self._at
        if len(data) < start + 2:
            return None
        length, at = data[start + 1] & 0x7F, start + 2
        if length == 126:
            length, at = int.from_bytes(data[at : at + 2], "big"), at + 2
        elif length == 127:
            length, at = int.from_bytes(data[at : at + 8], "big"), at + 8
        if len(data) < at + length:
            return None
        self._at = at + length
        return data[start] & 0x0F, data[at : at + length]

    def close(self):
        self._socket.close()
