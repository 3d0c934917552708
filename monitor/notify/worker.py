"""Sends what waits in the outbox, at least once, in order per incident, and never forgets a row.

A row is leased, sent, then marked; a crash between the last two sends it again, with the same key. A
failure is tried again with growing pauses until it is given up after a day. Rows of one incident to one
receiver go out in the order they were written, so nobody hears "resolved" before "firing".
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import exists
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import aliased
from sqlmodel import col, or_, select

from monitor.database.tables import Outbox
from monitor.facts import Store
from monitor.notify.chat import Chat

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=20)  # how long a crash may delay a message; renewed while one is being sent
RENEW_SECONDS = 6.0
FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(minutes=5)
GIVE_UP_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Worker:
    """`owner` tells this process's leases from another's; `clock` gives aware UTC."""

    store: Store
    chats: Mapping[str, Chat]
    owner: str
    clock: Callable[[], datetime]

    def send_due(self, receiver: str) -> int:
        """Send what is due for one receiver now; returns how many were delivered."""
        sent = 0
        while (row := self._claim(receiver)) is not None:
            with self._leased(row):
                error = self._send(row)
            self._settle(row, error)
            if error is not None:
                break  # the receiver is in trouble: the other rows wait for their turn too
            sent += 1
        return sent

    def waiting(self) -> set[str]:
        """The receivers that have something due now."""
        now = self.clock()
        with self.store.reading_session() as session:
            query = select(Outbox.receiver).where(Outbox.state == "waiting", col(Outbox.next_attempt_at) <= now)
            return set(session.exec(query.distinct()))

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
                row = session.get(Outbox, row_id)
                if row is None or row.lease_owner != self.owner:
                    return
                row.lease_until = self.clock() + LEASE
                session.add(row)

    def _send(self, row: Outbox) -> str | None:
        chat = self.chats.get(row.receiver)
        if chat is None:
            return "no such receiver is configured any more"
        return chat.send(row.key, row.event, row.severity, row.title, row.body)

    def _claim(self, receiver: str) -> Outbox | None:
        now = self.clock()
        older = aliased(Outbox)
        query = (
            select(Outbox)
            .where(
                Outbox.receiver == receiver, Outbox.state == "waiting", col(Outbox.next_attempt_at) <= now,
                or_(col(Outbox.lease_until).is_(None), col(Outbox.lease_until) <= now,
                    Outbox.lease_owner == self.owner),
                ~exists().where(
                    col(older.receiver) == col(Outbox.receiver), col(older.incident_id) == col(Outbox.incident_id),
                    col(older.state) == "waiting", col(older.id) < col(Outbox.id),
                ),
            )
            .order_by(col(Outbox.id)).limit(1).with_for_update(skip_locked=True)
        )
        with self.store.session() as session:
            row = session.exec(query).first()
            if row is not None:
                row.lease_owner, row.lease_until, row.attempts = self.owner, now + LEASE, row.attempts + 1
                session.add(row)
        return row

    def _settle(self, row: Outbox, error: str | None) -> None:
        now = self.clock()
        with self.store.session() as session:
            fresh = session.get(Outbox, row.id)
            if fresh is None or fresh.lease_owner != self.owner:
                return  # somebody else has it by now
            fresh.lease_owner = fresh.lease_until = None
            fresh.last_error = error
            if error is None:
                fresh.state, fresh.sent_at = "sent", now
            elif now - fresh.created_at > GIVE_UP_AFTER:
                fresh.state = "given_up"
                log.error("given up notifying %s: %s", fresh.receiver, error)
            else:
                pause = min(FIRST_PAUSE * 2 ** min(fresh.attempts - 1, 12), LONGEST_PAUSE)
                fresh.next_attempt_at = now + pause
                log.warning("could not notify %s (attempt %d): %s", fresh.receiver, fresh.attempts, error)
            session.add(fresh)
