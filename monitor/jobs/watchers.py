"""Collectors whose source says when there is news (IMAP IDLE): they run then, and not only at their turn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from collectors.contract import Context, Watcher

AGAIN_SECONDS = 600.0  # a watcher starts anew so often, to see mailboxes the inventory has gained


@dataclass(frozen=True, slots=True)
class Watching:
    """`context` is made anew for every watch; `run_now` has the collector run and returns when it has."""

    watcher: Watcher
    context: Callable[[], Context]
    run_now: Callable[[], None]
    again_seconds: float = AGAIN_SECONDS

    def run(self, stop: threading.Event) -> None:
        """Watch for `again_seconds`, or until `stop` is set."""
        again = threading.Event()
        timer = threading.Timer(self.again_seconds, again.set)
        timer.daemon = True
        timer.start()
        threading.Thread(target=_set_after, args=(stop, again), daemon=True).start()
        try:
            for _ in self.watcher.watch(self.context(), again):
                self.run_now()
        finally:
            timer.cancel()
            again.set()


def _set_after(first: threading.Event, then: threading.Event) -> None:
    first.wait()
    then.set()
