"""Feedback loops over HTTP: what we are enrolled in, where we send without one, which has fallen silent.

All of it is about the whole platform: a key bound to one customer sees none of it.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from monitor.access.keys import Caller
from monitor.api.access import all_customers, require
from monitor.api.problem import refusals
from monitor.api.services import Services
from monitor.config.quantities import When
from monitor.database.tables import FblEnrolment
from monitor.feedback_loops.enrolments import Kind, State
from monitor.feedback_loops.rows import Wish, drop_enrolment, enrolments, gaps_now, set_enrolment
from monitor.judging.feed_evidence import silence_verdicts

router = APIRouter(tags=["feedback loops"])
Reads = Annotated[Caller, Depends(require("read"))]
Operates = Annotated[Caller, Depends(require("operate"))]
_NO_NUL = r"^[^\x00]*$"  # PostgreSQL keeps none
_Why = Annotated[str, Query(alias="reason", min_length=1, max_length=1000, pattern=_NO_NUL)]
_Name = Annotated[str, Query(min_length=1, max_length=255, pattern=_NO_NUL)]
_Detail = Annotated[str, Field(max_length=1000, pattern=_NO_NUL)]


class Asked(BaseModel):
    """How it stands. Details left out stay as they are."""

    model_config = ConfigDict(extra="forbid")
    provider: str = Field(min_length=1, max_length=255, pattern=_NO_NUL, examples=["yahoo"])
    kind: Kind
    subject: str = Field(max_length=255, pattern=_NO_NUL, examples=["acme.example.com"])
    state: State
    contact: _Detail | None = None
    note: _Detail | None = None
    ends_at: When | None = None
    reason: str = Field(min_length=1, max_length=1000, pattern=_NO_NUL)


class Gaps(BaseModel):
    """`gaps` can be closed by enrolling; `without` is what else goes unreported, or nobody can tell, and why."""

    gaps: list[dict[str, Any]]
    without: list[dict[str, Any]]


@router.get("/v1/fbl/enrolments")
def listed(request: Request, caller: Reads) -> list[FblEnrolment]:
    """All enrolments, by provider."""
    all_customers(caller)
    services: Services = request.app.state.services
    with services.store.reading_session() as session:
        return enrolments(session)


@router.put("/v1/fbl/enrolments")
def put(request: Request, asked: Asked, caller: Operates) -> FblEnrolment:
    """Say how it stands with a provider's loop for an IP, a network, a domain or our account."""
    all_customers(caller)
    services: Services = request.app.state.services
    wish = Wish(**asked.model_dump(exclude={"reason"}))
    with refusals(), services.store.session() as session:
        return set_enrolment(session, wish, actor=caller.name, reason=asked.reason, now=services.now())


@router.delete("/v1/fbl/enrolments", status_code=204)
def delete(request: Request, provider: _Name, kind: Kind, subject: _Name, reason: _Why, caller: Operates) -> Response:
    """Forget an enrolment that was entered by mistake."""
    all_customers(caller)
    services: Services = request.app.state.services
    with refusals(), services.store.session() as session:
        key = (provider, kind, subject)
        drop_enrolment(session, key, actor=caller.name, reason=reason, now=services.now())
    return Response(status_code=204)


@router.get("/v1/fbl/gaps")
def gaps(request: Request, caller: Reads) -> Gaps:
    """Where mail of the last seven days went without a loop, most mail first."""
    all_customers(caller)
    services: Services = request.app.state.services
    found = gaps_now(services.store, services.now())
    return Gaps(gaps=[gap.as_json() for gap in found.gaps], without=[each.as_json() for each in found.without])


@router.get("/v1/fbl/silence")
def silence(request: Request, caller: Reads) -> list[dict[str, Any]]:
    """Which loops have fallen silent, speak, or cannot be judged."""
    all_customers(caller)
    services: Services = request.app.state.services
    return [
        {**dict(verdict.group), "verdict": verdict.word, "reason": verdict.reason, "summary": verdict.summary, **verdict.evidence}
        for verdict in silence_verdicts(services.store, services.now())
    ]
