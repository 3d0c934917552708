"""Everything Prometheus scrapes: what the features know from the database, and what this process knows of its gate."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlmodel import Session

from monitor.api.services import Services
from monitor.facts.metrics import METRICS as OF_FACTS
from monitor.gate import Decided
from monitor.incidents.metrics import METRICS as OF_INCIDENTS
from monitor.metrics import Metric, MetricType, Sample, alone
from monitor.notify.metrics import METRICS as OF_NOTIFICATIONS
from monitor.warmup.metrics import METRICS as OF_WARM_UPS

STORED = (*OF_FACTS, *OF_INCIDENTS, *OF_NOTIFICATIONS, *OF_WARM_UPS)
DECISIONS = Metric("vigie_decisions_total", "Decisions of this process, by answer.", MetricType.COUNTER)
GATE_VERSION = Metric("vigie_gate_version", "Newest transition the gate knows.")
GATE_RESTRICTIONS = Metric("vigie_gate_restrictions", "Restrictions in force.")
GATE_AGE = Metric("vigie_gate_age_seconds", "Since the gate was last in step with the database.")
REPLICA_AGE = Metric("vigie_replica_age_seconds", "Of the replica's newest transaction: what stands here is so old.")

Family = tuple[Metric, list[Sample]]


def stored(session: Session, now: datetime) -> list[Family]:
    """The metrics of every feature."""
    return [(each.metric, list(each.read(session, now))) for each in STORED]


def of_process(services: Services, as_of: datetime | None, now: datetime) -> Iterator[Family]:
    """Those of this process; `as_of`: of the replica the others were read from, where it was one."""
    index = services.gate.index
    yield DECISIONS, [({"decision": word.value}, services.gate.decided[word]) for word in Decided]
    yield GATE_VERSION, alone(index.version)
    yield GATE_RESTRICTIONS, alone(len(index.restrictions))
    yield GATE_AGE, alone((now - index.built_at).total_seconds())
    if as_of is not None:
        yield REPLICA_AGE, alone((now - as_of).total_seconds())
