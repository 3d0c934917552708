"""What Prometheus scrapes of incidents."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from monitor.incidents.rows import count_open
from monitor.metrics import Metric, Sample, StoredMetric


def _open(session: Session, now: datetime) -> list[Sample]:
    del now
    return [({"severity": severity, "state": state}, count) for severity, state, count in count_open(session)]


METRICS = (StoredMetric(Metric("vigie_incidents_open", "Incidents not ended, by severity and state."), _open),)
