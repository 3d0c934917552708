"""Follows the gate for a sender: the stream, read again and again from where it was cut off; grants, filters and the copy on the disk.

One coroutine, run by a thread of its own (`blocking`) or as a task of the program (`asynchronous`). Whatever goes wrong on
the way, it goes on trying: soon at first, then every few seconds, never all senders at the same moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import time
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

from monitor.sender.disk_copy import DiskCopy
from monitor.sender.events import Event, EventReader
from monitor.sender.http import Address
from monitor.sender.known import FormatError, Known, instant
from monitor.sender.local_gate import LocalGate

SILENT_SECONDS = 15.0  # the service speaks every few seconds: a connection that is quiet for so long is dead
FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0
_LONGEST_ASKED = 30.0  # of Retry-After
WORK_SECONDS = 1.0
_EVENTS = frozenset({"snapshot", "change", "alive"})
COPY_SECONDS, COPY_ANYWAY_SECONDS = 1.0, 30.0


_log = logging.getLogger("vigie_sender")
_REFUSALS = {401: ": is the key right?", 403: ": the key needs the scope gate", 404: ": is the address that of Vigie?"}


class StreamError(OSError):
    """The stream cannot be had, or not be read on; `wait`: seconds the service asked for."""

    def __init__(self, text: str, wait: float = 0.0) -> None:
        super().__init__(text)
        self.wait = wait


class Following:
    """`run` until `stop` is set, in the loop that `wake` and `stop` belong to."""

    def __init__(self, gate: LocalGate, address: Address, copy: DiskCopy | None, on_known: Callable[[], None]) -> None:
        self._gate, self._address, self._copy, self._on_known = gate, address, copy, on_known
        self._place: str | None = gate.known.place if gate.known is not None else None
        self._written: Known | None = gate.known
        self._written_at = time.monotonic()
        self._more = asyncio.Event()
        self.error: str | None = None

    def wake(self) -> None:
        """There is something to fetch. In the loop's own thread."""
        self._more.set()

    async def run(self) -> None:
        """Ends by being cancelled."""
        tasks = [self._follow(), self._work(), self._load()] + ([self._keep_copy()] if self._copy is not None else [])
        running = [asyncio.create_task(_for_ever(task)) for task in tasks]
        try:
            await asyncio.gather(*running)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def close(self) -> None:
        """Give back what is reserved, and write the copy."""
        await self._gate.grants.close(self._address)
        if self._copy is not None:
            self.write_copy()

    def write_copy(self) -> None:
        """Write what is known to the disk, if it ever was heard."""
        known, gate = self._gate.known, self._gate
        if self._copy is None or known is None:
            return
        now = gate.clock.now()
        try:
            self._copy.write(known, now - timedelta(seconds=gate.age_seconds), now)
        except OSError as error:
            self.error = f"the copy cannot be written: {error}"
        self._written, self._written_at = known, time.monotonic()

    async def _follow(self) -> None:
        wait = FIRST_WAIT
        while True:
            heard_before = self._gate.age_seconds
            try:
                await self._read()
            except FormatError as error:
                self._place, self.error, wait = None, str(error), LONGEST_WAIT  # from the beginning, and not at once
            except (OSError, ValueError) as error:
                self.error = str(error) or type(error).__name__
                wanted = error.wait if isinstance(error, StreamError) else 0.0
                wait = min(max(wait, wanted), _LONGEST_ASKED)
            if self._gate.age_seconds < heard_before:  # it had begun well
                wait = FIRST_WAIT
            self._gate.reconnects += 1
            await asyncio.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311 - so that they do not come all at once
            wait = min(max(wait, FIRST_WAIT) * 2, LONGEST_WAIT)

    async def _read(self) -> None:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self._place} if self._place is not None else {})
        async with self._address.stream("/v1/gate/stream", headers) as (status, named, pieces):
            if status != 200:
                self._refused(status)
                raise StreamError(f"/v1/gate/stream answers {status}", _seconds(named.get("retry-after")))
            reader = EventReader()
            while True:
                async with asyncio.timeout(SILENT_SECONDS):
                    piece = await anext(pieces, b"")
                if not piece:
                    return
                self._take(list(reader.feed(piece)))

    def _refused(self, status: int) -> None:
        """A wrong key looks as if the service were away; it is said in the reasons, and once in the log."""
        trouble = f"it answers {status}{_REFUSALS.get(status, '')}"
        if trouble != self._gate.trouble:
            self._gate.trouble = trouble
            _log.warning("the stream of Vigie's gate cannot be followed: %s", trouble)

    def _take(self, events: list[Event]) -> None:
        """All events of one piece, and one index for them. Raises FormatError."""
        gate, known, now = self._gate, self._gate.known, self._gate.clock.now()
        for event in events:
            if event.name in _EVENTS:
                known = self._after(known, event, _data(event), now)
        if known is not None and known is not gate.known:
            gate.take(known.indexed(now))
            self._place = known.place
        if known is not None:
            self._on_known()

    def _after(self, known: Known | None, event: Event, data: dict[str, Any], now: datetime) -> Known | None:
        """What is known after an event."""
        stale_since = self._gate.stale_since if event.name == "change" else _maybe(data.get("stale_since"))
        if event.name == "snapshot":
            taken = Known.of_snapshot(data, event.id, now)
            if known is None or stale_since is None or taken.version >= known.version:
                known = taken  # else it is of a process that knows less, and cannot ask
        elif event.name == "change":
            if known is None:
                raise FormatError("a change came before there was anything to change")
            known = known.changed(data, event.id)
        self._gate.heard(stale_since)
        if (at := _maybe(data.get("at"))) is not None:
            self._gate.clock.heard(at)
        return known

    async def _work(self) -> None:
        while True:
            await self._gate.grants.work(self._address)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WORK_SECONDS):
                    await self._more.wait()
            self._more.clear()

    async def _load(self) -> None:
        while True:
            try:
                await self._gate.filters.work(self._address)
            except OSError as error:
                self.error = str(error)
            await asyncio.sleep(WORK_SECONDS / 4)

    async def _keep_copy(self) -> None:
        while True:
            await asyncio.sleep(COPY_SECONDS)
            late = time.monotonic() - self._written_at > COPY_ANYWAY_SECONDS and self._gate.age_seconds < COPY_ANYWAY_SECONDS
            if self._gate.known is not self._written or late:
                self.write_copy()


async def _for_ever(work: Coroutine[Any, Any, None]) -> None:
    await work


def _data(event: Event) -> dict[str, Any]:
    try:
        data = json.loads(event.data)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"an event is no JSON: {error}") from error
    if not isinstance(data, dict):
        raise FormatError("an event is no JSON object")
    return data


def _maybe(text: Any) -> Any:
    try:
        return None if text is None else instant(text)
    except (TypeError, ValueError) as error:
        raise FormatError(f"{text!r} is no instant") from error


def _seconds(stated: str | None) -> float:
    return float(stated) if stated is not None and stated.isdecimal() and len(stated) < 6 else 0.0
