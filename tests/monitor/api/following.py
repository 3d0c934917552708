"""A reader of `GET /v1/gate/stream` as its format has it, that keeps what it was sent."""

import contextlib
import json
import socket
import threading
from typing import Any, NamedTuple

import httpx

from tests.waiting import ended, eventually


class Event(NamedTuple):
    name: str
    id: str | None
    data: dict[str, Any]


class Follower:
    """Reads in a thread of its own. `restrictions` are those it knows of: what every client in another language makes of it."""

    def __init__(self, client: httpx.Client, last: str | None = None, path: str = "/v1/gate/stream") -> None:
        self.events: list[Event] = []
        self.restrictions: dict[str, Any] = {}
        self.rest: dict[str, Any] = {}
        self.version = 0
        self.ended = False
        self._headers = {"Last-Event-ID": last} if last is not None else {}
        self._stream = client.stream("GET", path, headers=self._headers)
        self.response = self._stream.__enter__()
        assert self.response.status_code == 200, self.response.read()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def last(self) -> str:
        return next(event.id for event in reversed(self.events) if event.id is not None)

    def named(self, name: str) -> list[Event]:
        return [event for event in self.events if event.name == name]

    def first(self) -> Event:
        return eventually(lambda: self.events and self.events[0])

    def close(self) -> None:
        with contextlib.suppress(OSError):  # whoever reads it does not wait for the next sign of life
            self.response.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        self.response.close()
        assert ended(self._thread)

    def _read(self) -> None:
        lines: list[str] = []
        try:
            for line in self.response.iter_lines():
                if line:
                    lines.append(line)
                elif lines:
                    self._take(dict(part.split(": ", 1) for part in lines))
                    lines = []
        except (httpx.HTTPError, httpx.StreamError, OSError):
            pass
        self.ended = True

    def _take(self, fields: dict[str, str]) -> None:
        data = json.loads(fields["data"])
        if fields["event"] == "snapshot":
            self.restrictions = {row["id"]: row for row in data["restrictions"]}
            self.rest = {name: data[name] for name in ("allowances", "pools", "streams", "providers")}
        elif fields["event"] == "change":
            self.restrictions |= {row["id"]: row for row in data["set"]}
            for gone in data["removed"]:
                self.restrictions.pop(gone["id"], None)
            self.rest |= {name: data[name] for name in self.rest if name in data}
        self.version = data["version"]
        self.events.append(Event(fields["event"], fields.get("id"), data))
