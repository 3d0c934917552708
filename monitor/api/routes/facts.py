"""Look: readings, listings, runs and traces, as they are stored."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel
from sqlmodel import col, or_, select

from collectors.observation import Subject
from monitor.access.keys import Caller
from monitor.api.access import all_customers, own_customer, require
from monitor.api.problem import Problem
from monitor.api.services import Services
from monitor.config.quantities import When
from monitor.database.tables import Listing, Reading, Run, SendingDomain, SendingIp, Series, TraceRow
from monitor.facts.traces import Traced, find_traces

router = APIRouter(tags=["look"])
Reads = Annotated[Caller, Depends(require("read"))]
Named = Annotated[str | None, Query(min_length=1, max_length=255)]
Most = Annotated[int, Query(ge=1, le=10_000)]


class StoredReading(BaseModel):
    """One number. `value` null: asked and not known, `reason` says why."""

    measure: str
    subject: dict[str, str]
    at: datetime
    known_at: datetime
    value: float | None
    reason: str | None


class SubjectAsked(BaseModel):
    """Only series with all of these."""

    customer: Named = None
    stream: Named = None
    campaign: Named = None
    ip: Named = None
    domain: Named = None
    provider: Named = None
    dnsbl: Named = None
    operator: Named = None
    mailbox: Named = None
    seed: Named = None
    aspect: Named = None
    collector: Named = None


@router.get("/v1/readings")
def readings(
    request: Request,
    caller: Reads,
    subject: Annotated[SubjectAsked, Depends()],
    *,
    measure: Annotated[str, Query(min_length=1, max_length=255)],
    since: When | None = None,
    until: When | None = None,
    limit: Most = 1000,
) -> list[StoredReading]:
    """Readings of a measure, newest first; the last 24 hours unless `since` says otherwise."""
    services: Services = request.app.state.services
    asked = subject.model_dump(exclude_none=True)
    if customer := own_customer(caller, subject.customer):
        asked["customer"] = customer
    since = since or services.now() - timedelta(hours=24)
    chosen = (
        select(Reading, Series)
        .join(Series, col(Series.id) == col(Reading.series_id))
        .where(Series.measure == measure, col(Reading.at) >= since)
        .where(*(getattr(Series, name) == value for name, value in asked.items()))
        .order_by(col(Reading.at).desc(), col(Reading.series_id))
        .limit(limit)
    )
    if until is not None:
        chosen = chosen.where(col(Reading.at) < until)
    with services.store.reading_session() as session:
        return [_reading(reading, series) for reading, series in session.exec(chosen)]


@router.get("/v1/listings")
def listings(
    request: Request,
    caller: Reads,
    *,
    target: Named = None,
    dnsbl: Named = None,
    cleared: bool = False,
    limit: Most = 1000,
) -> list[Listing]:
    """Listings, newest first: those that stand, or with `cleared` also those that ended."""
    services: Services = request.app.state.services
    chosen = select(Listing).order_by(col(Listing.id).desc()).limit(limit)
    if target is not None:
        chosen = chosen.where(Listing.target == target.lower())
    if dnsbl is not None:
        chosen = chosen.where(Listing.dnsbl == dnsbl)
    if not cleared:
        chosen = chosen.where(col(Listing.cleared_at).is_(None))
    if caller.customer is not None:
        ips = select(SendingIp.address).where(SendingIp.customer == caller.customer)
        domains = select(SendingDomain.domain).where(SendingDomain.customer == caller.customer)
        chosen = chosen.where(or_(col(Listing.target).in_(ips), col(Listing.target).in_(domains)))
    with services.store.reading_session() as session:
        return list(session.exec(chosen))


@router.get("/v1/runs")
def runs(request: Request, caller: Reads, *, collector: Named = None, limit: Most = 100) -> list[Run]:
    """Runs of collectors, newest first."""
    all_customers(caller)
    services: Services = request.app.state.services
    chosen = select(Run).order_by(col(Run.id).desc()).limit(limit)
    if collector is not None:
        chosen = chosen.where(Run.collector == collector)
    with services.store.reading_session() as session:
        return list(session.exec(chosen))


@router.get("/v1/trace")
def trace(
    request: Request,
    caller: Reads,
    *,
    recipient: Annotated[str | None, Query(min_length=3, max_length=320)] = None,
    message_id: Annotated[str | None, Query(min_length=1, max_length=998)] = None,
    customer: Named = None,
    since: When | None = None,
    limit: Most = 1000,
) -> list[TraceRow]:
    """What happened to a recipient, to a message, or to a customer's mail, newest first."""
    services: Services = request.app.state.services
    asked = Traced(recipient, message_id, own_customer(caller, customer), since)
    if asked.about_nothing:
        raise Problem(422, "name a recipient, a message_id or a customer")
    return find_traces(services.store, asked, limit)


def _reading(reading: Reading, series: Series) -> StoredReading:
    subject = {name: value for name in Subject._fields if (value := getattr(series, name)) is not None}
    return StoredReading(
        measure=series.measure, subject=subject, at=reading.at, known_at=reading.known_at, value=reading.value,
        reason=reading.reason,
    )
