"""When the rules are judged: as facts arrive, here or in another process, and when the next timer runs out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

from monitor.facts import Store
from monitor.jobs.schedule import LEASE

JUDGING_SHARE = 0.2  # judging takes at most this share of a core under load
LOOK_SECONDS = 1.0  # how often what other processes did is looked at


def _nothing() -> None:
    pass


class JudgeLoop:
    """`judge` is one pass and says how long the next may wait; `afterwards` is called after each."""

    def __init__(
        self, store: Store, judge: Callable[[datetime], timedelta], clock: Callable[[], datetime], owner: str,
        *, afterwards: Callable[[], None] = _nothing,
    ) -> None:
        self._store = store
        self._judge = judge
        self._clock = clock
        self._owner = owner
        self._afterwards = afterwards
        self._news = threading.Event()

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
            if not news and newest == seen and monotonic() < due_at:
                continue
            seen, began = newest, monotonic()
            wait = self.judge_once()
            due_at = monotonic() + wait.total_seconds()
            self._afterwards()
            stop.wait((monotonic() - began) * (1 / JUDGING_SHARE - 1))

    def judge_once(self) -> timedelta:
        """One pass, if no other process is at it; returns how long the next may wait."""
        now = self._clock()
        fence = self._store.claim("judge", self._owner, now, LEASE, due_only=False)
        if fence is None:
            return timedelta(seconds=LOOK_SECONDS)
        try:
            return self._judge(now)
        finally:
            self._store.done("judge", self._owner, fence, self._clock(), now)
