"""What Prometheus scrapes of notifications."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from monitor.metrics import Metric, Sample, StoredMetric, alone
from monitor.notify.outbox import count_by_state, count_waiting, oldest_waiting


def _waiting(session: Session, now: datetime) -> list[Sample]:
    del now
    return alone(count_waiting(session))


def _kept(session: Session, now: datetime) -> list[Sample]:
    del now
    return [({"receiver": name, "state": state}, count) for name, state, count in count_by_state(session)]


def _oldest(session: Session, now: datetime) -> list[Sample]:
    return [({"receiver": name}, (now - at).total_seconds()) for name, at in oldest_waiting(session)]


METRICS = (
    StoredMetric(Metric("vigie_outbox_waiting", "Messages not sent yet."), _waiting),
    StoredMetric(
        Metric("vigie_notifications", "Notifications kept, by receiver and state; given_up are dead letters."), _kept
    ),
    StoredMetric(
        Metric("vigie_outbox_oldest_seconds", "Since the oldest notification that waits was written, by receiver."), _oldest
    ),
)
