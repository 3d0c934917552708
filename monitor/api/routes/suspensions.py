"""Suspensions and silences: what is held back, what is not told; put on and taken off with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import col, select

from monitor.access.keys import Caller
from monitor.api.access import require
from monitor.api.problem import Problem, refusals
from monitor.api.services import Services
from monitor.config.quantities import When
from monitor.database.tables import Silence, Suspension
from monitor.gate import canonical
from monitor.incidents import silences
from monitor.restrictions import suspensions

router = APIRouter(tags=["operate"])
Reads = Annotated[Caller, Depends(require("read"))]
Operates = Annotated[Caller, Depends(require("operate"))]
Why = Annotated[str, Query(alias="reason", min_length=1, max_length=1000)]
Most = Annotated[int, Query(ge=1, le=10_000)]
_NO_NUL = r"^[^\x00]+$"  # PostgreSQL keeps none
_Named = Annotated[str, Field(min_length=1, max_length=255, pattern=_NO_NUL)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reason: str = Field(min_length=1, max_length=1000, pattern=_NO_NUL)


class NewSuspension(_Asked):
    """Whom to hold back, how, and until when."""

    scope: dict[str, _Named] = Field(min_length=1, max_length=8, examples=[{"customer": "acme", "provider": "gmail"}])
    effect: Literal["hold", "slow"] = "hold"
    rate_per_hour: int | None = Field(default=None, ge=1)
    until: When | None = None


class NewSilence(_Asked):
    """Which incidents not to tell of, and until when."""

    matchers: dict[str, _Named] = Field(min_length=1, max_length=8, examples=[{"rule": "complaint-rate"}])
    until: When


@router.get("/v1/suspensions")
def list_suspensions(request: Request, caller: Reads, *, lifted: bool = False, limit: Most = 1000) -> list[Suspension]:
    """Suspensions, newest first: those in force, or with `lifted` also those that were."""
    services: Services = request.app.state.services
    chosen = select(Suspension).order_by(col(Suspension.since).desc(), col(Suspension.id)).limit(limit)
    if not lifted:
        now = services.now()
        chosen = chosen.where(
            col(Suspension.lifted_at).is_(None), col(Suspension.until).is_(None) | (col(Suspension.until) > now)
        )
    if caller.customer:
        chosen = chosen.where(col(Suspension.scope)["customer"].as_string() == caller.customer)
    with services.store.reading_session() as session:
        return list(session.exec(chosen))


@router.post("/v1/suspensions", status_code=201)
def suspend(request: Request, asked: NewSuspension, caller: Operates) -> Suspension:
    """Hold or slow a scope now."""
    services: Services = request.app.state.services
    now = services.now()
    _only_own(caller, asked.scope)
    with refusals(), services.store.session() as session:
        scope = {name: canonical(name, value) for name, value in asked.scope.items()}
        row = suspensions.hold(
            session, scope=scope, effect=asked.effect, actor=caller.name, reason=asked.reason, now=now,
            until=asked.until, rate_per_hour=asked.rate_per_hour,
        )
    services.gate.refresh(services.store, now)
    return row


@router.delete("/v1/suspensions/{suspension_id}")
def lift(request: Request, suspension_id: str, reason: Why, caller: Operates) -> Suspension:
    """Lift a suspension."""
    services: Services = request.app.state.services
    now = services.now()
    with refusals(), services.store.session() as session:
        row = suspensions.lift(session, suspension_id, actor=caller.name, reason=reason, now=now)
        _only_own(caller, row.scope)
    services.gate.refresh(services.store, now)
    return row


@router.get("/v1/silences")
def list_silences(request: Request, caller: Reads, *, ended: bool = False, limit: Most = 1000) -> list[Silence]:
    """Silences, newest first: those in force, or with `ended` all."""
    services: Services = request.app.state.services
    chosen = select(Silence).order_by(col(Silence.since).desc(), col(Silence.id)).limit(limit)
    if not ended:
        chosen = chosen.where(col(Silence.ended_at).is_(None), col(Silence.until) > services.now())
    if caller.customer:
        chosen = chosen.where(col(Silence.matchers)["customer"].as_string() == caller.customer)
    with services.store.reading_session() as session:
        return list(session.exec(chosen))


@router.post("/v1/silences", status_code=201)
def silence(request: Request, asked: NewSilence, caller: Operates) -> Silence:
    """Stop telling of matching incidents; they are judged on."""
    services: Services = request.app.state.services
    _only_own(caller, asked.matchers)
    with refusals(), services.store.session() as session:
        return silences.silence(
            session, matchers=asked.matchers, actor=caller.name, reason=asked.reason, now=services.now(),
            until=asked.until,
        )


@router.delete("/v1/silences/{silence_id}")
def end_silence(request: Request, silence_id: str, reason: Why, caller: Operates) -> Silence:
    """End a silence."""
    services: Services = request.app.state.services
    with refusals(), services.store.session() as session:
        row = silences.end_silence(session, silence_id, actor=caller.name, reason=reason, now=services.now())
        _only_own(caller, row.matchers)
        return row


def _only_own(caller: Caller, about: Mapping[str, str]) -> None:
    """Raise for a key bound to another customer; inside a transaction that also takes the change back."""
    if caller.customer is not None and about.get("customer") != caller.customer:
        raise Problem(403, f"this key is bound to {caller.customer}; name it as customer")
