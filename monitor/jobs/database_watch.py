"""Can the database be written? Asked all the time, and said by a way that needs no database.

A full disk stops everything else that could give notice: incidents and the outbox are rows. So this one goes
straight to every receiver of critical incidents, once when it begins and once when it is over; several processes
send the same key, for whoever deduplicates.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from monitor.config.severity import Severity
from monitor.database.faults import sentence
from monitor.database.revision import OtherSchemaError
from monitor.facts import Store
from monitor.notify.message import Event
from monitor.notify.sender import Outgoing, Sends

EVERY_SECONDS = 10.0
FAILURES_TO_NOTIFY = 3  # a restart of the database is no news
log = logging.getLogger(__name__)


class DatabaseWatch:
    """`fault` is why the database cannot be written (None: it can, or it was not asked yet)."""

    def __init__(self, store: Store, receivers: Mapping[str, Sends], clock: Callable[[], datetime]) -> None:
        self._store = store
        self._receivers = receivers
        self._clock = clock
        self._failures = 0
        self._began_at: datetime | None = None
        self._notified: set[str] = set()
        self.fault: str | None = None

    def run(self, stop: threading.Event) -> None:
        """Look until `stop` is set."""
        while not stop.wait(EVERY_SECONDS):
            self.look()

    def look(self) -> None:
        """Write once; notify where enough has gone wrong, and where it is over."""
        now = self._clock()
        try:
            self._store.prove_writable(now)
        except (SQLAlchemyError, OSError) as error:
            self.fault = sentence(error)
            self._failures += 1
            self._began_at = self._began_at or now
        except OtherSchemaError as error:  # whoever upgrades knows; the new version writes
            self.fault = str(error)
        else:
            self.fault, self._failures = None, 0
        if self._failures >= FAILURES_TO_NOTIFY:
            self._send(Event.FIRING, f"Vigie: {self.fault}", "Nothing new is stored, judged or held until it can; senders"
                       " go on with the restrictions they know. Free space or bring the database back.")
        elif self.fault is None and self._notified:
            self._send(Event.RESOLVED, "Vigie: the database can be written again", "What waited at its source is being read.")
        if self.fault is None and not self._notified:
            self._began_at = None

    def _send(self, event: Event, title: str, body: str) -> None:
        key = f"database:{self._began_at:%Y%m%dT%H%M%SZ}:{event}"
        for name, receiver in self._receivers.items():
            if (event is Event.FIRING) == (name in self._notified):
                continue
            error = receiver.send(Outgoing(f"{key}:{name}", event, Severity.CRITICAL, title, body, self._clock())).error
            if error is not None:
                log.warning("could not notify %s of the database: %s", name, error)
            elif event is Event.FIRING:
                self._notified.add(name)
            else:
                self._notified.discard(name)
