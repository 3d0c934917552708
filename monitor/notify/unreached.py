"""A receiver that cannot be reached is an alarm of its own, to the others: a dead letter must not lie there unseen."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlmodel import Session

from monitor.config.severity import Severity
from monitor.database.tables import Outbox
from monitor.notify import outbox
from monitor.notify.message import Event, lasted

AFTER = timedelta(minutes=15)
_ABOUT = "receiver:"


def failed(session: Session, row: Outbox, others: Iterable[str], now: datetime) -> None:
    """Notify the others once a message has waited for so long; `row` is its oldest. Nothing is said of such an alarm itself."""
    waited = now - row.created_at
    if waited < AFTER or row.incident_id.startswith(_ABOUT):
        return
    title = f"[FIRING] warning: {row.receiver} cannot be reached, {lasted(waited)} so far (receiver-unreachable)"
    lines = [
        f"What: {row.last_error or 'nothing is delivered'}", f"Where: receiver {row.receiver}", f"Since: {row.created_at:%Y-%m-%d %H:%M:%S UTC}",
        "Done: it is tried again for a day, then given up", f"Next: vigie notify test {row.receiver}", f"Waits: {row.title}",
    ]
    for name in others:
        if not _open(session, row.receiver, name):
            _write(session, row.receiver, (Event.FIRING, title, "\n".join(lines)), (name, str(row.id)), now)


def reached(session: Session, receiver: str, now: datetime) -> None:
    """Whoever was notified is notified that it is over."""
    for delivery in outbox.notified_of(session, _ABOUT + receiver):
        serial = _open(session, receiver, delivery.receiver)
        if serial:
            text = Event.RESOLVED, f"[RESOLVED] warning: {receiver} is reached again (receiver-unreachable)", f"Where: receiver {receiver}"
            _write(session, receiver, text, (delivery.receiver, serial), now)


def _open(session: Session, receiver: str, name: str) -> str:
    """The serial of the alarm that `name` was notified of and that is not over; empty where there is none."""
    rows = [row for row in outbox.newest_notifications(session, 200, _ABOUT + receiver) if row.receiver == name]
    return rows[0].key.split("#")[-1] if rows and rows[0].event != Event.RESOLVED else ""


def _write(session: Session, receiver: str, text: tuple[Event, str, str], to: tuple[str, str], now: datetime) -> None:
    event, title, body = text
    name, serial = to
    incident = _ABOUT + receiver
    outbox.add(session, Outbox(
        key=f"{incident}:{event}:{name}#{serial}", incident_id=incident, receiver=name, event=event.value, severity=Severity.WARNING,
        title=title, body=body, group_key=incident, details={"labels": {"rule": "receiver-unreachable"}}, created_at=now, next_attempt_at=now,
    ))
