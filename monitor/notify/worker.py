"""Sends what waits in the outbox, at least once, in order per incident, and never forgets a row.

The rows of a message are leased, sent, then marked; a crash between the last two sends it again, with the same key. A
failure is tried again with growing pauses until it is given up after a day. Rows of one incident to one
receiver go out in the order they were written, so nobody reads "resolved" before "firing".
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from monitor.config.severity import worst
from monitor.database.tables import Outbox
from monitor.facts import Store
from monitor.notify import outbox, unreached
from monitor.notify.digest import event_of, items_of, merged
from monitor.notify.links import Links
from monitor.notify.message import Event, Message
from monitor.notify.outbox import OutboxState
from monitor.notify.sender import Outgoing, Sends, Sent

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=20)  # how long a crash may delay a message; renewed while one is being sent
RENEW_SECONDS = 6.0
FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(minutes=5)
LONGEST_ASKED = timedelta(hours=1)  # pause that a receiver may ask for
GIVE_UP_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Worker:
    """`owner` names this process in its leases; `clock` gives aware UTC. `per_minute`: messages to one receiver.

    `watching`: the receivers that are notified when another cannot be reached. `linked`: those whose messages bring `links`.
    """

    store: Store
    chats: Mapping[str, Sends]
    owner: str
    clock: Callable[[], datetime]
    per_minute: int = 10
    watching: Sequence[str] = ()
    links: Links | None = None
    linked: Collection[str] = ()

    def send_due(self, receiver: str) -> int:
        """Send what is due for one receiver now; returns how many messages were delivered."""
        sent = 0
        while rows := self.claim(receiver):
            with self._leased(rows):
                result = self._send(rows)
            self._settle(rows, result)
            if result.error is not None:
                break  # the receiver is in trouble: the other rows wait for their turn too
            sent += 1
        return sent

    def waiting(self) -> set[str]:
        """The receivers that have something due now."""
        with self.store.reading_session() as session:
            return outbox.receivers_due(session, self.clock())

    def claim(self, receiver: str) -> list[Outbox]:
        """Take the rows of the receiver's next message for LEASE; none where nothing is due."""
        with self.store.session() as session:
            return outbox.claim(session, receiver, self.owner, self.clock(), LEASE, self.per_minute)

    @contextmanager
    def _leased(self, rows: Sequence[Outbox]) -> Iterator[None]:
        """The lease is renewed for as long as the receiver takes."""
        done = threading.Event()
        renewing = threading.Thread(target=self._renew, args=([row.id for row in rows], done), daemon=True)
        renewing.start()
        try:
            yield
        finally:
            done.set()
            renewing.join()

    def _renew(self, ids: Sequence[int | None], done: threading.Event) -> None:
        while not done.wait(RENEW_SECONDS):
            with suppress(SQLAlchemyError), self.store.session() as session:
                rows = outbox.leased(session, ids, self.owner)
                if not rows:
                    return
                for row in rows:
                    row.lease_until = self.clock() + LEASE
                    session.add(row)

    def _send(self, rows: Sequence[Outbox]) -> Sent:
        chat = self.chats.get(rows[0].receiver)
        if chat is None:
            return Sent("no such receiver is configured any more")
        with self.store.reading_session() as session:
            thread = outbox.thread_of(session, rows)
        text = Message(rows[0].title, rows[0].body) if len(rows) == 1 else merged(rows)
        key = rows[0].message_key or rows[0].key
        items = [self._with_links(row, item) for row, item in zip(rows, items_of(rows), strict=True)]
        return chat.send(Outgoing(
            key, event_of(rows), worst(row.severity for row in rows), text.title, text.body,
            self.clock(), items, thread,
        ))

    def _with_links(self, row: Outbox, item: Mapping[str, Any]) -> Mapping[str, Any]:
        """The same at every attempt: what counts is when the notification was written."""
        if self.links is None or row.receiver not in self.linked or row.event == Event.RESOLVED or not row.details.get("url"):
            return item
        return {**item, "links": self.links.of(row.incident_id, row.receiver, row.created_at)}

    def _settle(self, rows: Sequence[Outbox], result: Sent) -> None:
        now = self.clock()
        with self.store.session() as session:
            fresh = outbox.leased(session, [row.id for row in rows], self.owner)
            for row in fresh:
                row.lease_owner = row.lease_until = None
                row.last_error = result.error
                if result.error is None:
                    row.state, row.sent_at = OutboxState.SENT.value, now
                    row.thread = dict(result.thread) if result.thread else None
                elif now - row.created_at > GIVE_UP_AFTER:
                    row.state = OutboxState.GIVEN_UP.value
                    log.error("given up notifying %s: %s", row.receiver, result.error)
                else:
                    row.next_attempt_at = now + _pause(row.attempts, result.retry_after)
                session.add(row)
            if fresh:
                self._watched(session, fresh, result, now)
        if fresh and result.error is not None:
            log.warning("could not notify %s (attempt %d): %s", fresh[0].receiver, fresh[0].attempts, result.error)

    def _watched(self, session: Session, rows: Sequence[Outbox], result: Sent, now: datetime) -> None:
        others = [name for name in self.watching if name != rows[0].receiver]
        if result.error is None:
            unreached.reached(session, rows[0].receiver, now)
        else:
            unreached.failed(session, rows[0], others, now)


def _pause(attempts: int, wanted: timedelta | None) -> timedelta:
    """Twice as long each time; longer where the other side asks for it."""
    own: timedelta = min(FIRST_PAUSE * 2 ** min(attempts - 1, 12), LONGEST_PAUSE)
    return max(own, min(wanted, LONGEST_ASKED)) if wanted is not None else own
