"""`GET /v1/gate/stream`: one response to one sender that follows, for as long as it reads (server-sent events, WHATWG HTML 9.2).

What is sent is made once for all who follow (monitor.restrictions.feed); a stream only knows how far its reader is. A reader
that takes nothing for a while, or is further behind than changes are kept, is let go: it comes back with the id of its last
event. So is one whose key is no longer what it was, and everybody when the service stops.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime

from fastapi import Response
from starlette.types import Receive, Scope, Send

from monitor.access.keys import Caller
from monitor.api.problem import Problem
from monitor.restrictions.feed import Standing, View
from monitor.restrictions.feed_json import as_json
from monitor.restrictions.follow import GateIndex

ALIVE_SECONDS = 2.0  # of silence at most; the contract promises 5
CUSTOMERS_SHARE = 4  # keys bound to one customer have a quarter of the places at most
NOT_READING_SECONDS = 15.0  # how long one piece may wait for its reader
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep the events to itself
]  # fmt: skip


class Streams:
    """All streams of this process."""

    def __init__(self, gate: GateIndex, now: Callable[[], datetime], most: int) -> None:
        self.gate, self.now = gate, now
        self.open = 0
        self.of_customers: Counter[str | None] = Counter()
        self.closing = False
        self._most = most
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        gate.feed.listen(self._wake)

    def check_room(self, customer: str | None) -> None:
        """Raise Problem (503) where no further stream is opened: to nobody, or to keys of this customer."""
        if self.closing:
            raise Problem(503, "the service is stopping", headers={"Retry-After": "1"})
        if self.open >= self._most:
            raise Problem(503, f"{self._most} streams are open, and no more at once: raise api.connections", headers={"Retry-After": "5"})
        most = max(1, self._most // CUSTOMERS_SHARE)
        if customer is not None and self.of_customers[customer] >= most:
            raise Problem(503, f"{most} streams of {customer} are open, and no more at once", headers={"Retry-After": "5"})

    def enter(self, customer: str | None) -> None:
        """Take a place. Nothing is awaited between looking and taking, so that many at once are no more than the limit."""
        self.check_room(customer)
        self.open += 1
        self.of_customers[customer] += 1

    def leave(self, customer: str | None) -> None:
        self.open -= 1
        self.of_customers[customer] -= 1
        if not self.of_customers[customer]:
            del self.of_customers[customer]

    def close(self) -> None:
        """End them all; each reader comes back to whoever answers then."""
        self.closing = True
        self._wake()

    async def changed(self) -> None:
        """Wait until the database was looked at again, but no longer than until the next sign of life is due."""
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ALIVE_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _wake(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._let_go)

    def _let_go(self) -> None:
        waiting, self._changed = self._changed, asyncio.Event()
        waiting.set()


class EventStream(Response):
    """The response. `place`: the id of the last event the reader has, of this or another process."""

    def __init__(self, streams: Streams, caller: Caller, place: str | None) -> None:
        super().__init__()
        self._streams, self._caller, self._place = streams, caller, place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        streams, feed = self._streams, self._streams.gate.feed
        streams.enter(self._caller.customer)
        try:
            view, standing, missed = await asyncio.to_thread(feed.follow, self._caller.customer, self._place)
        except BaseException:
            streams.leave(self._caller.customer)
            raise
        gone = asyncio.create_task(_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await self._speak(view, standing, missed, _Reader(send, gone))
        except _LeftError:
            pass
        finally:
            gone.cancel()
            streams.leave(self._caller.customer)
            feed.leave(view)
        if not gone.done() or gone.cancelled():
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _speak(self, view: View, standing: Standing, missed: bytes | None, reader: _Reader) -> None:
        streams, gate = self._streams, self._streams.gate
        stale_since, number = gate.stale_since, standing.number
        if missed is None:
            snapshot, standing = await asyncio.to_thread(gate.feed.snapshot, view.customer, stale_since)
            number = standing.number
            await reader.send(_event(b"snapshot", snapshot.body, standing.place))
        elif missed:
            await reader.send(_event(b"change", missed, standing.place))
        await reader.send(self._alive(view, stale_since))
        quiet_since = asyncio.get_running_loop().time()
        while not streams.closing and gate.keys.holds(self._caller):
            events = gate.feed.after(view, number)
            if events is None:
                return
            if events:
                await reader.send(b"".join(_event(b"change", event.data, event.place) for event in events))
                number = events[-1].number
            now, stale = asyncio.get_running_loop().time(), gate.stale_since
            if events or stale != stale_since or now - quiet_since >= ALIVE_SECONDS:
                quiet_since = now
                if not events:
                    await reader.send(self._alive(view, stale))
                stale_since = stale
            await streams.changed()
            reader.check()

    def _alive(self, view: View, stale_since: datetime | None) -> bytes:
        at = as_json(self._streams.now())
        return b'event: alive\ndata: {"version":%d,"at":%b,"stale_since":%b}\n\n' % (view.content.version, at, as_json(stale_since))


class _LeftError(Exception):
    """Nobody reads any more."""


class _Reader:
    """Sends to one reader, and notices when it has left or takes nothing."""

    def __init__(self, send: Send, gone: asyncio.Task[None]) -> None:
        self._send, self._gone = send, gone

    async def send(self, data: bytes) -> None:
        self.check()
        try:
            async with asyncio.timeout(NOT_READING_SECONDS):
                await self._send({"type": "http.response.body", "body": data, "more_body": True})
        except (TimeoutError, OSError):
            raise _LeftError from None

    def check(self) -> None:
        if self._gone.done():
            raise _LeftError


def _event(name: bytes, data: bytes, place: str) -> bytes:
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name, place.encode(), data)


async def _gone(receive: Callable[[], Awaitable[object]]) -> None:
    while True:
        message = await receive()
        if isinstance(message, dict) and message["type"] == "http.disconnect":
            return
