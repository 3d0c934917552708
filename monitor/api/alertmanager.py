"""Incidents and silences as Alertmanager's API v2 has them (its `openapi.yaml`, version 2), for `amtool`, Grafana and Karma.

An incident that fires or recovers is an alert: `alertname` and `rule` are its rule, its other labels its subject. What is pending
is none yet. A silence's hours (`schedule`) have no place there: outside them it is shown as pending.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from monitor.api.given import NO_NUL
from monitor.config.quantities import When
from monitor.database.tables import Incident, Silence
from monitor.incidents.matchers import Matcher, Operator
from monitor.incidents.schedule import read_schedule
from monitor.incidents.silences import matchers_of
from monitor.notify.routing import Delivery

_ENDS_AFTER = timedelta(minutes=5)  # Alertmanager's resolve_timeout: an alert that is not renewed ends so long after
_Text = Annotated[str, Field(max_length=1000, pattern=NO_NUL)]


class _Shape(BaseModel):
    model_config = ConfigDict(populate_by_name=True, hide_input_in_errors=True)


class MatcherShape(_Shape):
    name: _Text
    value: _Text
    is_regex: bool = Field(alias="isRegex")
    is_equal: bool = Field(default=True, alias="isEqual")

    @property
    def matcher(self) -> Matcher:
        """Raises ValueError for a pattern that is none."""
        operators = {
            (False, True): Operator.EQUAL, (False, False): Operator.UNEQUAL,
            (True, True): Operator.LIKE, (True, False): Operator.UNLIKE,
        }  # fmt: skip
        return Matcher(self.name, operators[self.is_regex, self.is_equal], self.value)


class PostableSilence(_Shape):
    """As `amtool silence add` sends it; with the id of one that stands, that one is ended in its favour."""

    id: _Text | None = None
    matchers: list[MatcherShape] = Field(min_length=1, max_length=32)
    starts_at: When = Field(alias="startsAt")
    ends_at: When = Field(alias="endsAt")
    created_by: _Text = Field(alias="createdBy")
    comment: str = Field(min_length=1, max_length=1000, pattern=NO_NUL)


class SilenceStatus(_Shape):
    state: str


class GettableSilence(_Shape):
    id: str
    status: SilenceStatus
    updated_at: datetime = Field(serialization_alias="updatedAt")
    matchers: list[MatcherShape]
    starts_at: datetime = Field(serialization_alias="startsAt")
    ends_at: datetime = Field(serialization_alias="endsAt")
    created_by: str = Field(serialization_alias="createdBy")
    comment: str


class SilenceId(_Shape):
    silence_id: str = Field(serialization_alias="silenceID", validation_alias=AliasChoices("silence_id", "silenceID"))


class ReceiverName(_Shape):
    name: str


class AlertStatus(_Shape):
    state: str
    silenced_by: list[str] = Field(serialization_alias="silencedBy")
    inhibited_by: list[str] = Field(serialization_alias="inhibitedBy")


class Quietened(NamedTuple):
    """Whether nobody is notified of it, and the silences and incidents because of which, as far as whoever asks may know them."""

    is_so: bool
    silenced_by: list[str]
    inhibited_by: list[str]


class Alert(_Shape):
    labels: dict[str, str]
    annotations: dict[str, str]
    receivers: list[ReceiverName]
    fingerprint: str
    status: AlertStatus
    starts_at: datetime = Field(serialization_alias="startsAt")
    updated_at: datetime = Field(serialization_alias="updatedAt")
    ends_at: datetime = Field(serialization_alias="endsAt")
    generator_url: str = Field(serialization_alias="generatorURL")


class AlertGroup(_Shape):
    labels: dict[str, str]
    receiver: ReceiverName
    alerts: list[Alert]


class Status(_Shape):
    cluster: dict[str, Any]
    version_info: dict[str, str] = Field(serialization_alias="versionInfo")
    config: dict[str, str]
    uptime: datetime


def alert_of(
    incident: Incident, labels: Mapping[str, str], deliveries: Iterable[Delivery], quiet: Quietened, console_url: str
) -> Alert:
    """An incident that fires or recovers."""
    annotations = {"summary": incident.summary, "state": incident.state}
    if incident.acked_by:
        annotations |= {"acknowledged_by": incident.acked_by, "acknowledged_for": incident.ack_reason or ""}
    return Alert(
        labels={"alertname": incident.rule, **labels}, annotations=annotations,
        receivers=[ReceiverName(name=each.receiver) for each in deliveries],
        fingerprint=hashlib.sha256(incident.id.encode()).hexdigest()[:16],
        status=AlertStatus(
            state="suppressed" if quiet.is_so else "active", silenced_by=quiet.silenced_by, inhibited_by=quiet.inhibited_by
        ),
        starts_at=incident.fired_at or incident.started_at, updated_at=incident.judged_at,
        ends_at=incident.judged_at + _ENDS_AFTER, generator_url=f"{console_url}/incidents/{incident.id}",
    )  # fmt: skip


def silence_of(row: Silence, now: datetime) -> GettableSilence:
    end = min(row.until, row.ended_at) if row.ended_at else row.until
    shapes = [
        MatcherShape(name=each.name, value=each.value, is_regex=each.operator.is_regex, is_equal=each.operator.is_positive)
        for each in matchers_of(row)
    ]
    return GettableSilence(
        id=row.id, status=SilenceStatus(state=_state(row, now)), updated_at=row.ended_at or row.since, matchers=shapes,
        starts_at=min(row.since, end), ends_at=end, created_by=row.actor, comment=row.reason,
    )


def _state(row: Silence, now: datetime) -> str:
    if row.ended_at is not None or row.until <= now:
        return "expired"
    waits = row.since > now or (row.schedule is not None and not read_schedule(row.schedule).holds(now))
    return "pending" if waits else "active"


def group_labels(delivery: Delivery) -> Mapping[str, str]:
    return {("alertname" if name == "rule" else name): value for name, value in delivery.group.items()}
