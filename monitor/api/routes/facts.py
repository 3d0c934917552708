"""Look: readings, listings, runs and traces, as they are stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import BaseModel, create_model

from collectors.observation import Subject
from monitor.api.access import all_customers
from monitor.api.given import NO_NUL, Given, Listed, Look, MaybeNamed, Named, Reads
from monitor.api.problem import Problem, refusals
from monitor.api.route import new_router
from monitor.config.quantities import When
from monitor.facts.readings import find_readings
from monitor.facts.runs import find_runs
from monitor.facts.traces import Traced, find_traces
from monitor.facts.wire import Reading, Run, Trace
from monitor.inventory.names import canonical
from monitor.listings.find import Wanted, find_listings
from monitor.listings.wire import Listing

router = new_router("look")


# only series with all of these: one parameter for each dimension a subject may have
_PARAMETERS: dict[str, Any] = dict.fromkeys(Subject._fields, (MaybeNamed, None))
_BySubject: type[BaseModel] = create_model("_BySubject", **_PARAMETERS)
_ByMail: type[BaseModel] = create_model("_ByMail", **{name: _PARAMETERS[name] for name in ("customer", "campaign", "ip")})


@router.get("/v1/readings")
def readings(
    services: Given,
    look: Look,
    caller: Reads,
    listed: Listed,
    subject: Annotated[BaseModel, Depends(_BySubject)],
    *,
    measure: Named,
    since: When | None = None,
    until: When | None = None,
) -> list[Reading]:
    """Readings of a measure, newest first; the last 24 hours unless `since` says otherwise."""
    with refusals():
        wanted = {name: canonical(name, value, services.gate.providers) for name, value in subject.model_dump(exclude_none=True).items()}
    if (customer := services.own(caller, wanted)) is not None:
        wanted["customer"] = customer
    since = since or services.now() - timedelta(hours=24)
    with refusals():
        return listed.linked(look(lambda session: find_readings(session, measure, wanted, since, until, listed.page)))


@router.get("/v1/listings")
def listings(
    services: Given, look: Look, caller: Reads, listed: Listed, *, target: MaybeNamed = None, dnsbl: MaybeNamed = None,
    cleared: bool = False,
) -> list[Listing]:
    """Listings, newest first: those that stand, or with `cleared` also those that ended."""
    with refusals():
        wanted = Wanted(target and canonical("target", target), dnsbl, cleared)
    wanted = replace(wanted, customer=services.own(caller, {"target": wanted.target}))
    with refusals():
        rows = listed.linked(look(lambda session: find_listings(session, wanted, listed.page)))
    return [Listing.of(row, services.lists) for row in rows]


@router.get("/v1/runs")
def runs(look: Look, caller: Reads, listed: Listed, *, collector: MaybeNamed = None) -> list[Run]:
    """Runs of collectors, newest first."""
    all_customers(caller)
    with refusals():
        return listed.shown(look(lambda session: find_runs(session, listed.page, collector)), Run)


@router.get("/v1/trace")
def trace(
    services: Given,
    look: Look,
    caller: Reads,
    listed: Listed,
    mail: Annotated[BaseModel, Depends(_ByMail)],
    *,
    recipient: Annotated[str | None, Query(min_length=3, max_length=320, pattern=NO_NUL)] = None,
    message_id: Annotated[str | None, Query(min_length=1, max_length=998, pattern=NO_NUL)] = None,
    since: When | None = None,
) -> list[Trace]:
    """What happened to a recipient, to a message, or to the mail of a customer, campaign or IP, newest first."""
    with refusals():
        about: dict[str, str | None] = {name: canonical(name, value) for name, value in mail.model_dump(exclude_none=True).items()}
    about["customer"] = services.own(caller, about)
    wanted = Traced(recipient, message_id, since=since, **about)
    if wanted.about_nothing:
        raise Problem(422, "name a recipient, a message_id, a customer, a campaign or an ip")
    with refusals():
        return listed.shown(look(lambda session: find_traces(services.store, session, wanted, listed.page)), Trace)
