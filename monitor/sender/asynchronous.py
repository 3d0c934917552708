"""`AsyncGate`: the same for asyncio. One task of the program's own loop follows the service."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from monitor.sender.arguments import parts_of
from monitor.sender.decision import Decision
from monitor.sender.following import Following
from monitor.sender.local_gate import State


class AsyncGate:
    """As `Gate`; `wait`, `before_send` and `close` are awaited, `ask` is not.

    Made where no loop runs yet, it begins to follow with the first call inside one.
    """

    def __init__(
        self, url: str, key: str, cache: str | os.PathLike[str] | None = None, keep_seconds: float = 900,
        away: Mapping[str, str] | None = None, sender: str | None = None, timeout_seconds: float = 5.0,
    ) -> None:
        self._address, self._local, self._copy = parts_of(
            url, key, self._wake, cache=cache, keep_seconds=keep_seconds, away=away, sender=sender, timeout_seconds=timeout_seconds
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._following = Following(self._local, self._address, self._copy, self._learnt)
        self._any = asyncio.Event()
        self._closed = False
        if self._local.known is not None:
            self._any.set()
        self._begin()

    @property
    def state(self) -> State:
        """How well what is decided by is known: fresh, stale, away, empty."""
        return self._local.state

    async def wait(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - as Gate has it
        """True once it knows anything; False when the time is over before that."""
        self._begin()
        try:
            async with asyncio.timeout(timeout):
                await self._any.wait()
        except TimeoutError:
            return False
        return True

    def ask(self, **fields: Any) -> Decision:
        """One decision. Raises ValueError for a request the service would refuse."""
        self._begin()
        return self._local.ask(fields)

    async def before_send(self, *, recipient: str | None = None, count: int = 1, **fields: Any) -> Decision:
        """The same for mail about to be sent. Raises Held."""
        self._begin()
        return self._local.before_send(recipient, count, fields)

    def metrics(self) -> dict[str, float]:
        """Numbers for a monitoring system."""
        return self._local.metrics()

    async def close(self) -> None:
        """Give back what is reserved, write the copy, end the task."""
        if self._closed:
            return
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._following.close()

    async def __aenter__(self) -> Self:
        self._begin()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def _begin(self) -> None:
        if self._task is None and not self._closed:
            try:
                self._loop = asyncio.get_running_loop()
            except RuntimeError:
                return
            self._task = self._loop.create_task(self._following.run(), name="vigie-gate")

    def _wake(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._following.wake)

    def _learnt(self) -> None:
        self._any.set()
