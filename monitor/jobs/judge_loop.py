"""When the rules are judged: as facts arrive, here or in another process, and when the next timer runs out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

from sqlmodel import Session

from monitor.facts import Store
from monitor.jobs.schedule import LEASE, renewed

JOB = "judge"
LOOK_SECONDS = 1.0  # how often what other processes did is looked at


def _nothing() -> None:
    pass


def _whole(_: datetime) -> None:
    """News are judged by a whole pass."""


class LeaseLostError(RuntimeError):
    """Another process judges by now: nothing of this pass may be written any more."""


class JudgeLoop:
    """`judge` is a whole pass and says how long the next may wait; `news` is one over what came since, or None where that
    wants a whole one; `afterwards` is called after each.
    """

    def __init__(
        self, store: Store, judge: Callable[[datetime], timedelta], clock: Callable[[], datetime], owner: str,
        *, news: Callable[[datetime], timedelta | None] = _whole, afterwards: Callable[[], None] = _nothing,
    ) -> None:
        self._store = store
        self._judge, self._judge_news = judge, news
        self._clock = clock
        self._owner = owner
        self._afterwards = afterwards
        self._news = threading.Event()
        self._fence: int | None = None  # of the pass under way
        self._judged: int | None = None  # of the last pass that went well

    def wake(self) -> None:
        """There are new facts."""
        self._news.set()

    def run(self, stop: threading.Event) -> None:
        """Judge until `stop` is set; wake it then."""
        due_at, seen = 0.0, -1
        while not stop.is_set():
            self._news.wait(min(max(due_at - monotonic(), 0), LOOK_SECONDS))
            if stop.is_set():
                return
            news = self._news.is_set()
            self._news.clear()
            newest = self._store.cut().batch  # what the pass reads is at least all up to it
            due = monotonic() >= due_at
            if not news and newest == seen and not due:
                continue
            seen = newest
            whole, wait = self._pass(whole=due)
            next_at = monotonic() + wait.total_seconds()
            due_at = next_at if whole else min(due_at, next_at)
            self._afterwards()

    def judge_once(self) -> timedelta:
        """One whole pass, if no other process is at it; returns how long the next may wait."""
        return self._pass(whole=True)[1]

    def check(self, session: Session) -> None:
        """For every transaction of a pass: raises LeaseLostError where another process judges by now."""
        if self._fence is not None and not self._store.held(session, JOB, self._owner, self._fence):
            raise LeaseLostError("another process judges by now")

    def _pass(self, *, whole: bool) -> tuple[bool, timedelta]:
        """Whether it was a whole one, and how long the next may wait."""
        now = self._clock()
        fence = self._store.claim(JOB, self._owner, now, LEASE, due_only=False)
        if fence is None:
            return True, timedelta(seconds=LOOK_SECONDS)
        alone = self._judged == fence - 1  # since our last pass nobody else judged
        self._fence, self._judged = fence, None
        try:
            with renewed(self._store, (JOB, self._owner, fence), self._clock):
                wait = self._judge_news(now) if alone and not whole else None
                answer = (True, self._judge(now)) if wait is None else (False, wait)
            self._judged = fence
            return answer
        finally:
            self._fence = None
            self._store.done(JOB, self._owner, fence, self._clock(), now)
