"""The outbox as rows: what is to be sent to whom, what was. Each row is one notification to one receiver, by its key."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta

from sqlalchemy import exists
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, func, or_, select

from monitor.database.tables import Outbox
from monitor.notify.message import Event


class OutboxState(enum.StrEnum):
    """Where a notification stands on its way."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"


def add(session: Session, row: Outbox) -> None:
    """Write a row; one whose key is there already stays as it is."""
    if session.exec(select(Outbox.id).where(Outbox.key == row.key)).first() is None:
        session.add(row)


def notified_of(session: Session, incident_id: str) -> list[str]:
    """The receivers that heard, or are about to hear, that this incident fires."""
    chosen = select(Outbox.receiver).where(Outbox.incident_id == incident_id, col(Outbox.event) != Event.RESOLVED)
    return sorted(set(session.exec(chosen)))


def receivers_due(session: Session, now: datetime) -> set[str]:
    """The receivers that have something to be sent now."""
    due = select(Outbox.receiver).where(Outbox.state == OutboxState.WAITING, col(Outbox.next_attempt_at) <= now)
    return set(session.exec(due.distinct()))


def claim(session: Session, receiver: str, owner: str, now: datetime, lease: timedelta) -> Outbox | None:
    """Lease the receiver's next row until now + lease: none while an older one of its incident waits."""
    older = aliased(Outbox)
    due = (
        select(Outbox)
        .where(
            Outbox.receiver == receiver, Outbox.state == OutboxState.WAITING, col(Outbox.next_attempt_at) <= now,
            or_(col(Outbox.lease_until).is_(None), col(Outbox.lease_until) <= now, Outbox.lease_owner == owner),
            ~exists().where(
                col(older.receiver) == col(Outbox.receiver), col(older.incident_id) == col(Outbox.incident_id),
                col(older.state) == OutboxState.WAITING, col(older.id) < col(Outbox.id),
            ),
        )
        .order_by(col(Outbox.id)).limit(1).with_for_update(skip_locked=True)
    )  # fmt: skip
    row = session.exec(due).first()
    if row is not None:
        row.lease_owner, row.lease_until, row.attempts = owner, now + lease, row.attempts + 1
        session.add(row)
    return row


def leased(session: Session, row_id: int | None, owner: str) -> Outbox | None:
    """The row as it stands now; None where somebody else has it."""
    row = session.get(Outbox, row_id)
    return row if row is not None and row.lease_owner == owner else None


def newest_notifications(session: Session, limit: int, incident_id: str | None = None) -> list[Outbox]:
    """The newest first, of one incident or of all."""
    chosen = select(Outbox).order_by(col(Outbox.id).desc()).limit(limit)
    return list(session.exec(chosen if incident_id is None else chosen.where(Outbox.incident_id == incident_id)))


def count_waiting(session: Session) -> int:
    return session.exec(select(func.count()).select_from(Outbox).where(Outbox.state == OutboxState.WAITING)).one()
