"""Incidents: what is wrong or was, page by page, and the acknowledgement of a person."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import and_, col, or_, select

from monitor.access.keys import Caller
from monitor.api.access import own_customer, require
from monitor.api.problem import Problem, refusals
from monitor.api.services import Services
from monitor.database.tables import Incident, Transition, from_micros, to_micros
from monitor.incidents import changes as incident_changes

router = APIRouter(tags=["incidents"])
Reads = Annotated[Caller, Depends(require("read"))]
Operates = Annotated[Caller, Depends(require("operate"))]


class IncidentPage(BaseModel):
    """Newest first. `next` is the `after` of the following page, null on the last."""

    items: list[Incident]
    next: str | None


class IncidentHistory(BaseModel):
    incident: Incident
    transitions: list[Transition]


class Acknowledgement(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reason: str = Field(min_length=1, max_length=1000)


@router.get("/v1/incidents")
def incidents(
    request: Request,
    caller: Reads,
    *,
    state: Literal["open", "pending", "firing", "recovering", "ended", "all"] = "open",
    rule: Annotated[str | None, Query(max_length=255)] = None,
    customer: Annotated[str | None, Query(max_length=255)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[str | None, Query(max_length=255)] = None,
) -> IncidentPage:
    """Incidents by state, rule and customer. `open` is whatever has not ended."""
    services: Services = request.app.state.services
    customer = own_customer(caller, customer)
    chosen = select(Incident).order_by(col(Incident.started_at).desc(), col(Incident.id).desc()).limit(limit + 1)
    if state in {"open", "ended"}:
        chosen = chosen.where(col(Incident.ended_at).is_(None) if state == "open" else col(Incident.ended_at).is_not(None))
    elif state != "all":
        chosen = chosen.where(Incident.state == state)
    if rule is not None:
        chosen = chosen.where(Incident.rule == rule)
    if customer is not None:
        chosen = chosen.where(col(Incident.subject)["customer"].as_string() == customer)
    if after is not None:
        started_at, _, last = after.partition(".")
        if not started_at.isdecimal() or len(started_at) > 17:
            raise Problem(422, "after: take it from `next` of the page before")
        at = from_micros(int(started_at))
        chosen = chosen.where(
            or_(col(Incident.started_at) < at, and_(col(Incident.started_at) == at, col(Incident.id) < last))
        )
    with services.store.reading_session() as session:
        rows = list(session.exec(chosen))
    page, more = rows[:limit], rows[limit:]
    return IncidentPage(items=page, next=f"{to_micros(page[-1].started_at)}.{page[-1].id}" if more else None)


@router.get("/v1/incidents/{incident_id}")
def incident(request: Request, incident_id: str, caller: Reads) -> IncidentHistory:
    """One incident and every change of it, oldest first."""
    services: Services = request.app.state.services
    with services.store.reading_session() as session:
        row = session.get(Incident, incident_id)
        if row is None or caller.customer not in {None, row.subject.get("customer")}:
            raise Problem(404, f"no incident {incident_id}")
        changed = select(Transition).where(Transition.kind == "incident", Transition.of == incident_id)
        transitions = list(session.exec(changed.order_by(col(Transition.id)).limit(1000)))
    return IncidentHistory(incident=row, transitions=transitions)


@router.post("/v1/incidents/{incident_id}/ack")
def acknowledge(request: Request, incident_id: str, said: Acknowledgement, caller: Operates) -> Incident:
    """Say that a person looks after it."""
    services: Services = request.app.state.services
    with refusals(), services.store.session() as session:
        row = incident_changes.acknowledge(session, incident_id, actor=caller.name, reason=said.reason, now=services.now())
        if caller.customer not in {None, row.subject.get("customer")}:
            raise LookupError(f"no incident {incident_id}")
        return row
