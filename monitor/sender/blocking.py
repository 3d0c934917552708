"""`Gate`: for programs with threads, or none. One daemon thread follows the service; whoever asks waits for nobody."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from monitor.sender.arguments import parts_of
from monitor.sender.decision import Decision
from monitor.sender.following import Following
from monitor.sender.local_gate import State

_JOIN_SECONDS = 1.0  # beyond what the calls of `close` may take


class Gate:
    """A sender's own gate.

        gate = Gate("https://vigie.example.com", key, cache="/var/lib/mailer/vigie")
        gate.before_send(customer="acme", stream="news", recipient="ann@example.org")     # Decision, or raises Held

    `away`: what becomes of each kind of stream when Vigie was not heard for `keep_seconds`, or never. Raises ValueError for wrong
    arguments, and connects to nothing by itself. A process that forks makes its gate afterwards: threads do not come along.
    """

    def __init__(
        self, url: str, key: str, cache: str | os.PathLike[str] | None = None, keep_seconds: float = 900,
        away: Mapping[str, str] | None = None, sender: str | None = None, timeout_seconds: float = 5.0,
    ) -> None:
        self._address, self._local, copy = parts_of(
            url, key, self._wake, cache=cache, keep_seconds=keep_seconds, away=away, sender=sender, timeout_seconds=timeout_seconds
        )
        self._loop = _Loop()
        self._following = Following(self._local, self._address, copy, self._learnt)
        self._any = threading.Event()
        self._timeout = timeout_seconds
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        if self._local.known is not None:
            self._any.set()
        self._thread = threading.Thread(target=self._run, name="vigie-gate", daemon=True)
        self._thread.start()

    @property
    def state(self) -> State:
        """How well what is decided by is known: fresh, stale, away, empty."""
        return self._local.state

    def wait(self, timeout: float | None = None) -> bool:
        """True once it knows anything, of the service or from the disk; False when the time is over before that."""
        return self._any.wait(timeout)

    def ask(self, **fields: Any) -> Decision:
        """One decision, with the fields of `POST /v1/decision`. Raises ValueError for a request the service would refuse."""
        return self._local.ask(fields)

    def before_send(self, *, recipient: str | None = None, count: int = 1, **fields: Any) -> Decision:
        """The same for mail about to be sent: within what is reserved and the rate, to nobody suppressed. Raises Held."""
        return self._local.before_send(recipient, count, fields)

    def metrics(self) -> dict[str, float]:
        """Numbers for a monitoring system."""
        return self._local.metrics()

    def close(self) -> None:
        """Give back what is reserved, write the copy, end the thread. What is known goes on deciding, ever staler."""
        if not self._closed:
            self._closed = True
            self._call(self._stop)
            self._thread.join(2 * self._timeout + _JOIN_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._live())
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _live(self) -> None:
        self._task = asyncio.create_task(self._following.run())
        if self._closed:
            self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._following.close()

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _wake(self) -> None:
        self._call(self._following.wake)

    def _learnt(self) -> None:
        self._any.set()

    def _call(self, what: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(what)


class _Loop(asyncio.SelectorEventLoop):
    """A loop that no other work is in: names are looked up in its own thread, so that there is no second one."""

    async def getaddrinfo(self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:  # noqa: A002
        return socket.getaddrinfo(host, port, family, type, proto, flags)
