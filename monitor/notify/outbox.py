"""The outbox as rows: what is to be sent to whom, what was. Each row is one notification to one receiver, by its key.

Rows of one receiver and group that are due become one message when it is first tried; from then on it is the same message, with
the same key, until it has arrived. One message at a time is on its way to a receiver, whatever the number of processes.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, func, select

from monitor.database.tables import Outbox
from monitor.notify.message import Event
from monitor.notify.routing import Delivery

MINUTE = timedelta(minutes=1)
_MOST = 5_000  # rows of a receiver looked at once
_BURST = 4  # messages due at once: there may be more coming
_SETTLES = timedelta(seconds=2)  # once nothing new was written for so long, it has come
_SETTLES_AT_MOST = timedelta(seconds=20)


class OutboxState(enum.StrEnum):
    """Where a notification stands on its way."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"


def add(session: Session, row: Outbox) -> None:
    """Write a row; one whose key is there already stays as it is."""
    if session.exec(select(Outbox.id).where(Outbox.key == row.key)).first() is None:
        session.add(row)


def due_at(session: Session, delivery: Delivery, now: datetime) -> datetime:
    """When a message of this group may go out: with what waits already, not too soon after the last, or after its wait."""
    of_group = Outbox.receiver == delivery.receiver, Outbox.group_key == delivery.group_key
    waits = session.exec(
        select(func.min(Outbox.next_attempt_at)).where(*of_group, Outbox.state == OutboxState.WAITING, Outbox.attempts == 0)
    ).one()
    if waits is not None:
        return max(waits, now)
    last = session.exec(select(func.max(Outbox.sent_at)).where(*of_group)).one()
    if last is not None and last + delivery.interval > now:
        return last + delivery.interval
    return now + delivery.wait


def notified_of(session: Session, incident_id: str) -> list[Delivery]:
    """Those that heard, or are about to hear, that this incident fires, with the group they heard it in."""
    chosen = select(Outbox).where(Outbox.incident_id == incident_id, col(Outbox.event) != Event.RESOLVED)
    rows = {row.receiver: row for row in session.exec(chosen.order_by(col(Outbox.id)))}
    return [
        Delivery(name, row.group_key, row.details.get("group", {}), interval=timedelta(seconds=row.details.get("interval_seconds", 0)))
        for name, row in sorted(rows.items())
    ]


def of_incident(session: Session, incident_id: str) -> list[Outbox]:
    """All notifications of it, the oldest first."""
    return list(session.exec(select(Outbox).where(Outbox.incident_id == incident_id).order_by(col(Outbox.id))))


def receivers_due(session: Session, now: datetime) -> set[str]:
    """The receivers that have something to be sent now."""
    due = select(Outbox.receiver).where(Outbox.state == OutboxState.WAITING, col(Outbox.next_attempt_at) <= now)
    return set(session.exec(due.distinct()))


def claim(
    session: Session, receiver: str, owner: str, now: datetime, lease: timedelta, per_minute: int = 10
) -> list[Outbox]:
    """Lease the rows of the receiver's next message until now + lease, the oldest first; none where nothing may go out now."""
    chosen = select(Outbox).where(Outbox.receiver == receiver, Outbox.state == OutboxState.WAITING)
    waiting = list(session.exec(chosen.order_by(col(Outbox.id)).limit(_MOST).with_for_update()))
    if any(row.lease_until is not None and row.lease_until > now and row.lease_owner != owner for row in waiting):
        return []
    rows = _begun(waiting, now)
    if not rows:
        rows = _formed(waiting, now, per_minute - _sent_since(session, receiver, now - MINUTE))
        key = rows[0].key if len(rows) == 1 else f"digest:{rows[0].id}+{len(rows)}:{receiver}" if rows else None
        for row in rows:
            row.message_key = key
    for row in rows:
        row.lease_owner, row.lease_until, row.attempts = owner, now + lease, row.attempts + 1
        session.add(row)
    return rows


def leased(session: Session, ids: Iterable[int | None], owner: str) -> list[Outbox]:
    """Of these rows, as they stand now, those that nobody else has by now."""
    rows = session.exec(select(Outbox).where(col(Outbox.id).in_(list(ids))).order_by(col(Outbox.id)))
    return [row for row in rows if row.lease_owner == owner]


def thread_of(session: Session, rows: Sequence[Outbox]) -> Mapping[str, Any] | None:
    """Where the receiver's first message is that was about the same incident; None for the first, or for several incidents."""
    incidents = {row.incident_id for row in rows}
    if len(incidents) > 1:
        return None
    chosen = select(Outbox.thread).where(
        Outbox.receiver == rows[0].receiver, Outbox.incident_id == rows[0].incident_id, Outbox.state == OutboxState.SENT,
    )  # fmt: skip
    return next((thread for thread in session.exec(chosen.order_by(col(Outbox.id))) if thread), None)


def newest_notifications(session: Session, limit: int, incident_id: str | None = None) -> list[Outbox]:
    """The newest first, of one incident or of all."""
    chosen = select(Outbox).order_by(col(Outbox.id).desc()).limit(limit)
    return list(session.exec(chosen if incident_id is None else chosen.where(Outbox.incident_id == incident_id)))


def count_waiting(session: Session) -> int:
    return session.exec(select(func.count()).select_from(Outbox).where(Outbox.state == OutboxState.WAITING)).one()


def count_by_state(session: Session) -> Sequence[tuple[str, str, int]]:
    """Receiver, state and how many notifications."""
    counted = select(Outbox.receiver, Outbox.state, func.count()).group_by(Outbox.receiver, Outbox.state)
    return session.exec(counted.order_by(Outbox.receiver, Outbox.state)).all()


def oldest_waiting(session: Session) -> Sequence[tuple[str, datetime]]:
    """Receiver, and when the oldest of what waits for it was written."""
    oldest = select(Outbox.receiver, func.min(Outbox.created_at)).where(Outbox.state == OutboxState.WAITING)
    return session.exec(oldest.group_by(Outbox.receiver).order_by(Outbox.receiver)).all()


def _begun(waiting: Sequence[Outbox], now: datetime) -> list[Outbox]:
    """The rows of the first message that was tried before and is due again."""
    key = next((row.message_key for row in waiting if row.message_key is not None and row.next_attempt_at <= now), None)
    return [row for row in waiting if key is not None and row.message_key == key]


def _formed(waiting: Sequence[Outbox], now: datetime, left: int) -> list[Outbox]:
    """The rows of a new message: those due of one group, or of all groups where they are more than may still go out.

    What follows a row of the same incident that still waits, waits too.
    """
    behind = {row.incident_id for row in waiting if row.message_key is not None}
    groups: dict[str, list[Outbox]] = {}
    for row in waiting:
        if row.message_key is not None or row.incident_id in behind:
            continue
        if row.next_attempt_at > now:
            behind.add(row.incident_id)
        else:
            groups.setdefault(row.group_key or row.incident_id, []).append(row)
    due = [row for rows in groups.values() for row in rows]
    if not due or left <= 0 or (len(groups) >= _BURST and _still_comes(due, now)):
        return []
    rows = due if len(groups) > left else next(iter(groups.values()))
    return sorted(rows, key=lambda row: row.id or 0)


def _still_comes(due: Sequence[Outbox], now: datetime) -> bool:
    newest = max(row.created_at for row in due)
    return now - newest < _SETTLES and now - min(row.next_attempt_at for row in due) < _SETTLES_AT_MOST


def _sent_since(session: Session, receiver: str, since: datetime) -> int:
    sent = select(func.count(func.distinct(Outbox.message_key))).where(Outbox.receiver == receiver, col(Outbox.sent_at) > since)
    return session.exec(sent).one()
