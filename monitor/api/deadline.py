"""Ends calls whose body does not come in time, all by one look a second: a timer for each costs more than a decision."""

from __future__ import annotations

import asyncio

from monitor.api import body
from monitor.api.problem import Problem

_LOOK_SECONDS = 1.0


class Deadlines:
    """The calls that wait for a body. For the event loop it is used in; in another it begins anew."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._since: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self._looks = False

    def begin(self) -> asyncio.Task[object] | None:
        """The call waits from now on; returns what `end` wants."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._since, self._late, self._looks = loop, {}, set(), False
        if not self._looks:
            self._looks = True
            loop.call_later(_LOOK_SECONDS, self._look, loop)
        task = asyncio.current_task(loop)
        if task is not None:
            self._since[task] = loop.time()
        return task

    def end(self, task: asyncio.Task[object] | None) -> None:
        """It waits no more."""
        if task is not None:
            self._since.pop(task, None)

    def too_late(self, task: asyncio.Task[object] | None) -> Problem | None:
        """The problem, where the call was cancelled for being too late."""
        if task is None or task not in self._late:
            return None
        self._late.discard(task)
        task.uncancel()
        return body.too_slow()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is not self._loop:
            return
        limit = loop.time() - body.IDLE_SECONDS
        for task in [task for task, since in self._since.items() if since <= limit]:
            del self._since[task]
            self._late.add(task)
            task.cancel()
        self._looks = bool(self._since)
        if self._looks:
            loop.call_later(_LOOK_SECONDS, self._look, loop)
