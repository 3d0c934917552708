"""Warm-up over HTTP: senders reserve messages and give them back; how everything stands.

A grant is one transaction in the database, so that any number of API processes agree. Where it does not answer nothing is
granted (503). Suspensions are not asked here: the decision says them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Header
from pydantic import Field

from monitor.access.keys import Caller
from monitor.api.given import NO_NUL, Body, Gates, Given, Listed, Look, Reads, remembered_as
from monitor.api.problem import Problem, refusals
from monitor.api.route import new_router
from monitor.api.services import Services
from monitor.database.paging import part
from monitor.gate import NAMES, Request, read_request
from monitor.gate.request import MOST_MESSAGES
from monitor.warmup.allowances import (
    ConflictError,
    RepeatedKeyError,
    Wanted,
    answered_before,
    give_back,
    grant,
    keep_answer,
    keep_return,
    provider_meant,
)
from monitor.warmup.rows import going_on
from monitor.warmup.wire import GrantAnswer, ReturnAnswer, StandingLine

SHORTEST_TTL, LONGEST_TTL, TTL = 5, 3600, 300
_OWNED = ("customer", "ip", "pool", "domain")
router = new_router("allowances")
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]


class Reserve(Body):
    """Which messages a sender is about to send: the fields of a decision request, who reserves and for how long."""

    customer: str
    stream: str | None = None
    campaign: str | None = None
    ip: str | None = None
    pool: str | None = None
    domain: str | None = None
    provider: str | None = None
    recipient_domain: str | None = None
    message: str | None = None
    count: int = Field(default=1, ge=1, le=MOST_MESSAGES, strict=True)
    sender: str = Field(min_length=1, max_length=64, pattern=NO_NUL)
    ttl_seconds: int = Field(default=TTL, ge=SHORTEST_TTL, le=LONGEST_TTL, strict=True)


class GiveBack(Body):
    """How many of a grant were sent."""

    grant: str = Field(min_length=1, max_length=64, pattern=NO_NUL)
    used: int = Field(ge=0, le=MOST_MESSAGES, strict=True)


@router.post("/v1/allowances/grant")
def reserve(services: Given, caller: Gates, wanted: Reserve, idempotency_key: Key = None) -> GrantAnswer:
    """Reserve messages of every allowance that applies; a repeat with the same Idempotency-Key is answered as the first time."""
    about = _request(services, caller, wanted)
    now = services.now()
    key = None if idempotency_key is None else remembered_as(services, caller, idempotency_key)
    with services.store.session() as session:
        if key is not None:
            try:
                before = answered_before(session, key, wanted.model_dump(), now)
            except RepeatedKeyError as error:
                raise Problem(422, str(error)) from None
            if before is not None:
                return GrantAnswer.model_validate(before)
        try:
            answer = GrantAnswer.from_row(grant(session, _wanted(services, about, wanted), now))
        except ValueError as error:
            raise Problem(422, str(error)) from None
        answer = _for(services, caller, answer)
        if key is not None:
            keep_answer(session, key, answer.model_dump(mode="json"))
    return answer


@router.post("/v1/allowances/return")
def give(services: Given, caller: Gates, given: GiveBack) -> ReturnAnswer:
    """Give back what was not sent of a grant; the same again is answered as the first time."""
    now = services.now()
    with services.store.session() as session:
        try:
            answer = give_back(session, given.grant, given.used, now, customer=caller.customer)
        except LookupError as error:
            raise Problem(404, str(error.args[0])) from None
        except ConflictError as error:
            raise Problem(409, str(error)) from None
        except ValueError as error:
            raise Problem(422, str(error)) from None
        if isinstance(answer, Mapping):
            return ReturnAnswer.model_validate(answer)
        shown = ReturnAnswer.from_row(answer)
        keep_return(session, given.grant, shown.model_dump(mode="json"))
    return shown


@router.get("/v1/standings")
def standings(look: Look, services: Given, caller: Reads, listed: Listed) -> list[StandingLine]:
    """Every warm-up that goes on, and what is warm; a customer's key sees its own IPs and domains."""
    now, owners = services.now(), services.gate.owners
    rows = look(lambda session: going_on(session, now))
    if caller.customer is not None:
        rows = [row for row in rows if caller.customer == (owners.owner("ip", row.ip) if row.ip else owners.owner("domain", row.domain or ""))]
    with refusals():
        return listed.shown(part(rows, lambda row: (row.provider, row.ip or row.domain or "", row.id), listed.page), StandingLine)


def _request(services: Services, caller: Caller, wanted: Reserve) -> Request:
    """What is meant, in canonical form. Raises for what is no request (422), or another customer's (403)."""
    fields: dict[str, Any] = {name: getattr(wanted, name) for name in NAMES}
    try:
        about = read_request({**fields, "count": wanted.count})
    except ValueError as error:
        raise Problem(422, str(error)) from None
    if caller.customer is not None:
        services.own(caller, {name: getattr(about, name) for name in _OWNED})
    return about


def _wanted(services: Services, about: Request, wanted: Reserve) -> Wanted:
    provider, of_others = provider_meant(services.gate.index.providers, about.provider, about.recipient_domain)
    return Wanted(
        about.customer, wanted.sender, about.count, timedelta(seconds=wanted.ttl_seconds), about.ip, about.domain, provider, of_others
    )


def _for(services: Services, caller: Caller, answer: GrantAnswer) -> GrantAnswer:
    """Another customer's pool is not named to a customer's key."""
    foreign = caller.customer and answer.pool and services.gate.owners.foreign_to(caller.customer, {"pool": answer.pool})
    return answer.model_copy(update={"pool": None}) if foreign else answer
