"""Readers of records, kept from one post to the next: what a log says of a mail may come in several posts of the same caller.

In this process only: where several processes answer a caller, a mail whose lines went to different ones has no Message-ID, and
what expired no recipient. The caller who was heard of longest ago is forgotten first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime

from collectors.delivery.counting import Line, records_of
from collectors.delivery.formats import FORMATS
from collectors.delivery.outcomes import Reading

MOST_CALLERS = 32


class Readings:
    """One reader for each format and caller. For several threads."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[str, str], tuple[threading.Lock, Reading]] = OrderedDict()
        self._lock = threading.Lock()

    def lines(self, shape: str, caller: str, given: Iterable[bytes], source: str, now: datetime) -> list[Line]:
        """The records in these lines of a post, read."""
        lock, reading = self._of(shape, caller)
        with lock:
            reading.begin(now)
            return records_of(FORMATS[shape].records(enumerate(given, 1)), reading, source)

    def _of(self, shape: str, caller: str) -> tuple[threading.Lock, Reading]:
        key = shape, caller
        with self._lock:
            known = self._open.get(key)
            if known is None:
                known = self._open[key] = threading.Lock(), FORMATS[shape].opened()
                if len(self._open) > MOST_CALLERS:
                    self._open.popitem(last=False)
            self._open.move_to_end(key)
            return known
