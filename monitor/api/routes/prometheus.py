"""Prometheus' HTTP API, as far as lists of rules and alerts need it."""

from __future__ import annotations

from enum import StrEnum
from importlib import metadata
from typing import Annotated

from fastapi import Query
from sqlmodel import Session

from monitor.access.keys import Caller
from monitor.api.given import Given, Look, Reads
from monitor.api.prometheus import Answer, Judged, alert_of, groups_of
from monitor.api.route import ForeignRoute, new_router
from monitor.database.leases import last_run
from monitor.database.tables import Incident
from monitor.incidents.rows import open_incidents
from monitor.judging.verdict_rows import errors_of_rules, recovering_since

router = new_router("Prometheus", ForeignRoute)


class RuleType(StrEnum):
    """Ours are alerting rules; there are no recording rules."""

    ALERT = "alert"
    RECORD = "record"


@router.get("/api/v1/rules")
def rules(
    services: Given, caller: Reads, look: Look, *, kind: Annotated[RuleType, Query(alias="type")] = RuleType.ALERT
) -> Answer:
    """The rules with their open incidents, as one group."""
    incidents, judged = look(lambda session: (_open(caller, session), _judged(session)))
    chosen = services.rules if kind is RuleType.ALERT else ()
    return Answer(data={"groups": groups_of(chosen, incidents, judged) if chosen else []})


@router.get("/api/v1/alerts")
def alerts(caller: Reads, look: Look) -> Answer:
    """The open incidents."""
    incidents, clear_since = look(lambda session: (_open(caller, session), recovering_since(session)))
    return Answer(data={"alerts": [alert_of(row, clear_since).model_dump(mode="json", by_alias=True, exclude_none=True) for row in incidents]})


@router.get("/api/v1/status/buildinfo")
def build_information(caller: Reads) -> Answer:
    """What answers; Grafana asks for it to know what it may ask."""
    del caller
    unknown = dict.fromkeys(("branch", "buildDate", "buildUser", "goVersion", "revision"), "")
    return Answer(data=unknown | {"version": metadata.version("vigie")})


def _judged(session: Session) -> Judged:
    return Judged(last_run(session.connection(), "judge"), recovering_since(session), errors_of_rules(session))


def _open(caller: Caller, session: Session) -> list[Incident]:
    rows = [row for row in open_incidents(session) if caller.customer in {None, row.subject.get("customer")}]
    return sorted(rows, key=lambda row: (row.started_at, row.id), reverse=True)
