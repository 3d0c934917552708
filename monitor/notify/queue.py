"""Puts a notification into the outbox: one row per receiver, in the transaction of the change it is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session

from monitor.database.tables import Incident, Outbox
from monitor.notify import outbox
from monitor.notify.message import Event, Message
from monitor.notify.routing import Delivery


@dataclass(frozen=True, slots=True)
class Notice:
    """What is said of an incident. `serial` distinguishes several notifications of one event; `labels` are its rule's."""

    event: Event
    serial: str
    message: Message
    labels: Mapping[str, str] = field(default_factory=dict)


def queue(
    session: Session, incident: Incident, notice: Notice, deliveries: Iterable[Delivery], now: datetime
) -> None:
    """One row per receiver; a row whose key is there already stays as it is."""
    message = notice.message
    labels = {**notice.labels, **message.details.get("labels", {})}
    for each in deliveries:
        due = outbox.due_at(session, each, now)
        outbox.add(session, Outbox(
            key=f"{incident.id}:{notice.event}{notice.serial}:{each.receiver}", incident_id=incident.id, receiver=each.receiver,
            event=notice.event.value, severity=incident.severity, title=message.title, body=message.body,
            group_key=each.group_key or incident.id,
            details={
                **message.details, "labels": labels, "group": dict(each.group), "interval_seconds": each.interval.total_seconds(),
            },
            created_at=now, next_attempt_at=due,
        ))
