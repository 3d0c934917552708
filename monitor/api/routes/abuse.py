"""Abuse cases over HTTP: what was reported, whose turn it is, until when.

A key bound to a customer sees that customer's cases and may leave notes in them; to assign and to close is the
desk's alone.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from monitor.abuse import rows as abuse_rows
from monitor.abuse.rows import Assignment, Shown
from monitor.access.keys import Caller
from monitor.api.access import all_customers, own_customer, require
from monitor.api.problem import refusals
from monitor.api.services import Services
from monitor.database.tables import AbuseCase, Transition

router = APIRouter(tags=["abuse"])
Reads = Annotated[Caller, Depends(require("read"))]
Operates = Annotated[Caller, Depends(require("operate"))]
_Name = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]+$")]


class Said(BaseModel):
    """Why; of a note, the note itself."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field(min_length=1, max_length=4000, pattern=r"^[^\x00]+$")


class Assigned(Said):
    """What to change; what is left out stays. `waits_for` opens a closed case again."""

    waits_for: Literal["ours", "customer", "provider"] | None = None
    customer: _Name | None = None
    assignee: _Name | None = None
    kind: _Name | None = None


class CaseHistory(BaseModel):
    case: AbuseCase
    transitions: list[Transition]


@router.get("/v1/abuse/cases")
def listed(
    request: Request,
    caller: Reads,
    *,
    show: Shown = "open",
    customer: Annotated[str | None, Query(max_length=255)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[AbuseCase]:
    """Cases: open and overdue ones by their deadline, closed ones and all by the newest."""
    services: Services = request.app.state.services
    customer = own_customer(caller, customer)
    with services.store.reading_session() as session:
        return abuse_rows.cases(session, services.now(), show, customer=customer, limit=limit)


@router.get("/v1/abuse/cases/{case_id}")
def one(request: Request, case_id: str, caller: Reads) -> CaseHistory:
    """One case and what was done, oldest first."""
    services: Services = request.app.state.services
    with refusals(), services.store.reading_session() as session:
        row = _visible(session, case_id, caller)
        return CaseHistory(case=row, transitions=abuse_rows.history(session, case_id))


@router.post("/v1/abuse/cases/{case_id}/assign")
def assign(request: Request, case_id: str, asked: Assigned, caller: Operates) -> AbuseCase:
    """Say whose turn it is, whose mail it was, who looks after it, what it is about."""
    all_customers(caller)
    services: Services = request.app.state.services
    wanted = Assignment(**asked.model_dump(exclude={"reason"}))
    with refusals(), services.store.session() as session:
        return abuse_rows.assign(
            session, case_id, wanted, actor=caller.name, reason=asked.reason, now=services.now()
        )


@router.post("/v1/abuse/cases/{case_id}/close")
def close(request: Request, case_id: str, said: Said, caller: Operates) -> AbuseCase:
    """Say that nothing is left to do."""
    all_customers(caller)
    services: Services = request.app.state.services
    with refusals(), services.store.session() as session:
        return abuse_rows.close(session, case_id, actor=caller.name, reason=said.reason, now=services.now())


@router.post("/v1/abuse/cases/{case_id}/note")
def note(request: Request, case_id: str, said: Said, caller: Operates) -> AbuseCase:
    """Leave word."""
    services: Services = request.app.state.services
    with refusals(), services.store.session() as session:
        _visible(session, case_id, caller)
        return abuse_rows.note(session, case_id, actor=caller.name, reason=said.reason, now=services.now())


def _visible(session: Session, case_id: str, caller: Caller) -> AbuseCase:
    """The case, unless it is another customer's: then it is not there."""
    row = abuse_rows.case(session, case_id)
    if caller.customer not in {None, row.customer}:
        raise LookupError(f"no abuse case {case_id}")
    return row
