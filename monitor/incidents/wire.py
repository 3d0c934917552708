"""How incidents and silences are printed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from monitor.config.severity import Severity
from monitor.database.wire import Transition
from monitor.incidents.states import State
from monitor.rules.wire import VerdictNumbers
from monitor.wire import Wire


class Incident(Wire):
    """`subject` is the group judged, `evidence` the numbers of its worst moment (`now`: what is so by now). `notified_at`: when people were first notified."""

    id: str
    rule: str
    subject: dict[str, str]
    state: State
    severity: Severity
    summary: str
    evidence: VerdictNumbers
    unknown_reason: str | None
    started_at: datetime
    fired_at: datetime | None
    ended_at: datetime | None
    judged_at: datetime
    notified_at: datetime | None
    acked_by: str | None
    acked_at: datetime | None
    ack_reason: str | None
    ack_until: datetime | None


class IncidentHistory(Wire):
    """An incident and its changes, oldest first."""

    incident: Incident
    transitions: list[Transition]


class Silence(Wire):
    """Of matching incidents nobody is notified from `since` to `until`, or until it was ended.

    `matchers` are equal values, `patterns` other comparisons (`rule=~"ip-.*"`); `schedule`: only at these hours.
    """

    id: str
    matchers: dict[str, str]
    patterns: list[str]
    schedule: dict[str, Any] | None
    actor: str
    reason: str
    since: datetime
    until: datetime
    ended_at: datetime | None
