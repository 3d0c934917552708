"""Rules and their incidents as Prometheus' HTTP API has them (`/api/v1/rules`, `/api/v1/alerts`): Grafana's list of rules reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import BaseModel, Field

from monitor.database.tables import Incident
from monitor.incidents.silences import labels_of
from monitor.incidents.states import State
from monitor.rules.conditions.table import numbers_of
from monitor.rules.model import Rule
from monitor.rules.numbers import RateNumbers

GROUP = "vigie"


class Answer(BaseModel):
    """What every call of that API answers with."""

    status: str = "success"
    data: dict[str, Any]


ClearSince = Mapping[tuple[str, str], datetime]  # rule and group of what recovers → since when


class Judged(NamedTuple):
    """When the rules were judged last (None: never), what recovers since when, and why rules could not be judged."""

    at: datetime | None
    clear_since: ClearSince
    errors: Mapping[str, str]


class PrometheusAlert(BaseModel):
    """`keep_firing_since`: since when the condition is clear, while the incident recovers."""

    labels: dict[str, str]
    annotations: dict[str, str]
    state: str
    active_at: datetime = Field(serialization_alias="activeAt")
    keep_firing_since: datetime | None = Field(default=None, serialization_alias="keepFiringSince")
    value: str


def alert_of(incident: Incident, clear_since: ClearSince) -> PrometheusAlert:
    """An open incident; one that recovers is still firing there."""
    return PrometheusAlert(
        labels={"alertname": incident.rule, **labels_of(incident)}, annotations={"summary": incident.summary},
        state="pending" if incident.state == State.PENDING else "firing", active_at=incident.started_at,
        keep_firing_since=clear_since.get((incident.rule, incident.subject_key)), value=_value(incident),
    )


def groups_of(rules: Iterable[Rule], incidents: Sequence[Incident], judged: Judged) -> list[dict[str, Any]]:
    """All rules as one group."""
    shown = [_rule(rule, [row for row in incidents if row.rule == rule.id], judged) for rule in rules if rule.enabled]
    return [{
        "name": GROUP, "file": GROUP, "interval": 60, "limit": 0, "evaluationTime": 0,
        "lastEvaluation": _instant(judged.at), "rules": shown,
    }]  # fmt: skip


def _rule(rule: Rule, incidents: Sequence[Incident], judged: Judged) -> dict[str, Any]:
    states = {row.state for row in incidents}
    fires = states & {State.FIRING, State.RECOVERING}
    return {
        "name": rule.id, "type": "alerting", "query": f"{rule.condition}({rule.signal.name})", "labels": {**rule.labels, "severity": str(rule.severity)},
        "annotations": {key: value for key, value in (("runbook", rule.runbook), ("runbook_url", rule.runbook_url)) if value},
        "duration": rule.for_.total_seconds(), "keepFiringFor": rule.keep_firing_for.total_seconds(),
        "state": "firing" if fires else "pending" if states else "inactive",
        "alerts": [alert_of(row, judged.clear_since).model_dump(mode="json", by_alias=True, exclude_none=True) for row in incidents],
        "health": "err" if rule.id in judged.errors else "unknown" if judged.at is None else "ok",
        "lastError": judged.errors.get(rule.id, ""), "lastEvaluation": _instant(judged.at), "evaluationTime": 0,
    }  # fmt: skip


def _instant(at: datetime | None) -> str:
    return "0001-01-01T00:00:00Z" if at is None else at.isoformat().replace("+00:00", "Z")


def _value(incident: Incident) -> str:
    """The figure it was judged by, where it is a rate; else how many members it has at least."""
    numbers = numbers_of(incident.evidence)
    return f"{numbers.figure:e}" if isinstance(numbers, RateNumbers) and numbers.figure is not None else "1e+00"
