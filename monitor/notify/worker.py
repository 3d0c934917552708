"""Sends what waits in the outbox, at least once, in order per incident, and never forgets a row.

A row is leased, sent, then marked; a crash between the last two sends it again, with the same key. A
failure is tried again with growing pauses until it is given up after a day. Rows of one incident to one
receiver go out in the order they were written, so nobody reads "resolved" before "firing".
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from monitor.database.tables import Outbox
from monitor.facts import Store
from monitor.notify import outbox
from monitor.notify.chat import Chat
from monitor.notify.outbox import OutboxState

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=20)  # how long a crash may delay a message; renewed while one is being sent
RENEW_SECONDS = 6.0
FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(minutes=5)
GIVE_UP_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Worker:
    """`owner` names this process in its leases; `clock` gives aware UTC."""

    store: Store
    chats: Mapping[str, Chat]
    owner: str
    clock: Callable[[], datetime]

    def send_due(self, receiver: str) -> int:
        """Send what is due for one receiver now; returns how many were delivered."""
        sent = 0
        while (row := self.claim(receiver)) is not None:
            with self._leased(row):
                error = self._send(row)
            self._settle(row, error)
            if error is not None:
                break  # the receiver is in trouble: the other rows wait for their turn too
            sent += 1
        return sent

    def waiting(self) -> set[str]:
        """The receivers that have something due now."""
        with self.store.reading_session() as session:
            return outbox.receivers_due(session, self.clock())

    def claim(self, receiver: str) -> Outbox | None:
        """Take the receiver's next row for LEASE; None where nothing is due."""
        with self.store.session() as session:
            return outbox.claim(session, receiver, self.owner, self.clock(), LEASE)

    @contextmanager
    def _leased(self, row: Outbox) -> Iterator[None]:
        """The lease of the row is renewed for as long as the receiver takes."""
        done = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(row.id, done), daemon=True)
        renewing.start()
        try:
            yield
        finally:
            done.set()
            renewing.join()

    def _renew(self, row_id: int, done: threading.Event) -> None:
        while not done.wait(RENEW_SECONDS):
            with suppress(SQLAlchemyError), self.store.session() as session:
                row = outbox.leased(session, row_id, self.owner)
                if row is None:
                    return
                row.lease_until = self.clock() + LEASE
                session.add(row)

    def _send(self, row: Outbox) -> str | None:
        chat = self.chats.get(row.receiver)
        if chat is None:
            return "no such receiver is configured any more"
        return chat.send(row.key, row.event, row.severity, row.title, row.body)

    def _settle(self, row: Outbox, error: str | None) -> None:
        now = self.clock()
        with self.store.session() as session:
            fresh = outbox.leased(session, row.id, self.owner)
            if fresh is None:
                return  # somebody else has it by now
            fresh.lease_owner = fresh.lease_until = None
            fresh.last_error = error
            if error is None:
                fresh.state, fresh.sent_at = OutboxState.SENT.value, now
            elif now - fresh.created_at > GIVE_UP_AFTER:
                fresh.state = OutboxState.GIVEN_UP.value
                log.error("given up notifying %s: %s", fresh.receiver, error)
            else:
                pause = min(FIRST_PAUSE * 2 ** min(fresh.attempts - 1, 12), LONGEST_PAUSE)
                fresh.next_attempt_at = now + pause
                log.warning("could not notify %s (attempt %d): %s", fresh.receiver, fresh.attempts, error)
            session.add(fresh)
