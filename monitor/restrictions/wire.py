"""How suspensions are printed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from monitor.gate import Decision, Effect, Match, as_wire
from monitor.restrictions.recovery import Stage
from monitor.rules.wire import VerdictNumbers
from monitor.wire import Wire

_AS_JSON = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS


class Suspension(Wire):
    """What is held or slowed, by whom and why, until when. `actor` is a rule or the name of a key or user."""

    id: str
    scope: dict[str, str]
    effect: Effect
    rate_per_hour: int | None
    connections: int | None
    probe: float | None
    rule: str | None
    incident_id: str | None
    actor: str
    text: str
    evidence: VerdictNumbers
    since: datetime
    until: datetime | None
    lifts_when: str | None
    lifted_at: datetime | None
    lifted_by: str | None
    lift_reason: str | None


class ShadowSuspension(Wire):
    """What a rule would hold, were it or all of automation not in shadow (`why_not`)."""

    id: str
    rule: str
    scope: dict[str, str]
    effect: Effect
    rate_per_hour: int | None
    text: str
    why_not: str
    since: datetime
    until: datetime | None
    ended_at: datetime | None


class Recovery(Wire):
    """Where a scope that a rule held is on its way back; rates are messages an hour. `suspension_id`: what restricts it now."""

    id: str
    rule: str
    ladder: str
    scope: dict[str, str]
    incident_id: str
    suspension_id: str
    stage: Stage
    since: datetime
    began_at: datetime
    ended_at: datetime | None
    usual_per_hour: int | None
    good_per_hour: int | None
    rate_per_hour: int | None
    connections: int | None
    relapses: int
    called_at: datetime | None
    overridden_until: datetime | None
    overridden_by: str | None
    override_reason: str | None


def with_warnings(decision: Decision, warnings: Sequence[str]) -> dict[str, Any]:
    """A decision as it is printed, and the names in the request that nobody knows, where there are any."""
    return as_wire(decision) | ({"warnings": list(warnings)} if warnings else {})


def encoded(decision: Decision, match: Match, warnings: Sequence[str] = ()) -> bytes:
    """The same as JSON. The reasons of a match are encoded once."""
    fields = with_warnings(decision, warnings)
    if decision.reasons is match.reasons:
        if match.encoded is None:
            match.encoded = orjson.dumps(match.reasons, option=_AS_JSON)
        fields["reasons"] = orjson.Fragment(match.encoded)
    return orjson.dumps(fields, option=_AS_JSON)
