"""What keeps going wrong is logged once a minute: a database that is away for a night must not fill the disk."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import monotonic

from monitor.database.faults import is_of_the_database, sentence

EVERY_SECONDS = 60.0
_MOST_KINDS = 1_000  # of messages remembered


class OncePerMinute(logging.Filter):
    """Lets a warning or error of one place through once a minute, with the number held back since.

    An error of the database is one line: what is wrong with it. Its traceback would name only the place
    that noticed first.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        error = record.exc_info[1] if record.exc_info else None
        of_database = is_of_the_database(error)
        if error is not None and of_database:
            record.msg, record.args = f"{record.getMessage()}: {sentence(error)}", ()
            record.exc_info = record.exc_text = None
        kind = ("database", sentence(error)) if error is not None and of_database else (record.name, str(record.msg))
        held_back = self._held_back(kind)
        if held_back is None:
            return False
        if held_back:
            record.msg, record.args = f"{record.getMessage()} ({held_back} more like it in the last minute)", ()
        return True

    def _held_back(self, kind: tuple[str, str]) -> int | None:
        """How many were held back since the last one that went through; None: this one is held back too."""
        now = self._clock()
        with self._lock:
            since, count = self._seen.get(kind, (now - EVERY_SECONDS, 0))
            if now - since < EVERY_SECONDS:
                self._seen[kind] = since, count + 1
                return None
            if len(self._seen) >= _MOST_KINDS:
                self._seen.clear()
            self._seen[kind] = now, 0
            return count
