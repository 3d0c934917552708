"""Suspensions and silences: what is held back, whom nobody is notified of; put on and taken off with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from monitor.access.bound import ForeignError
from monitor.access.keys import Caller
from monitor.api.given import LARGEST_RATE, Given, Listed, Look, Name, Operates, Reads, Reasoned, Why
from monitor.api.problem import refusals
from monitor.api.route import new_router
from monitor.api.services import Services
from monitor.config.quantities import When
from monitor.gate import Effect
from monitor.incidents import silences
from monitor.incidents.wire import Silence
from monitor.inventory.names import canonical
from monitor.restrictions import suspensions
from monitor.restrictions.rows import find_suspensions
from monitor.restrictions.wire import Suspension

router = new_router("operate")


class NewSuspension(Reasoned):
    """Whom to hold back, how, and until when."""

    scope: dict[Name, Name] = Field(min_length=1, max_length=8, examples=[{"customer": "acme", "provider": "gmail"}])
    effect: Effect = Effect.HOLD
    rate_per_hour: Annotated[int, Field(ge=1, le=LARGEST_RATE)] | None = None
    until: When | None = None


class NewSilence(Reasoned):
    """Which incidents to notify nobody of, and until when."""

    matchers: dict[Name, Name] = Field(min_length=1, max_length=8, examples=[{"rule": "complaint-rate"}])
    until: When


@router.get("/v1/suspensions")
def list_suspensions(
    services: Given, look: Look, caller: Reads, listed: Listed, *, lifted: bool = False
) -> list[Suspension]:
    """Suspensions, newest first: those in force, or with `lifted` also those that were."""
    now, customer = services.now(), caller.customer
    with refusals():
        page = look(lambda session: find_suspensions(session, now, listed.page, lifted=lifted, customer=customer))
        return listed.shown(page, Suspension)


@router.post("/v1/suspensions", status_code=201)
def suspend(services: Given, caller: Operates, wanted: NewSuspension) -> Suspension:
    """Hold or slow a scope now."""
    now = services.now()
    with refusals(), services.store.session() as session:
        scope = {name: canonical(name, value, services.gate.providers) for name, value in wanted.scope.items()}
        _only_own(services, caller, scope)
        row = suspensions.hold(
            session, scope=scope, effect=wanted.effect, actor=caller.name, reason=wanted.reason, now=now,
            until=wanted.until, rate_per_hour=wanted.rate_per_hour, by_customer=caller.customer,
        )
    services.gate.refresh(services.store, now)
    return Suspension.from_row(row)


@router.delete("/v1/suspensions/{suspension_id}")
def lift(services: Given, caller: Operates, suspension_id: str, reason: Why) -> Suspension:
    """Lift a suspension. A customer's key lifts those a key of that customer put on; others where a setting says so."""
    now = services.now()
    with refusals(), services.store.session() as session:
        if caller.customer is not None:
            suspensions.check_customers_lift(
                session, suspension_id, caller.customer, may_lift_others=services.settings.customers_lift
            )
        row = suspensions.lift(session, suspension_id, actor=caller.name, reason=reason, now=now)
    services.gate.refresh(services.store, now)
    return Suspension.from_row(row)


@router.get("/v1/silences")
def list_silences(
    services: Given, look: Look, caller: Reads, listed: Listed, *, ended: bool = False
) -> list[Silence]:
    """Silences, newest first: those in force, or with `ended` all."""
    now, customer = services.now(), caller.customer
    with refusals():
        page = look(lambda session: silences.find_silences(session, now, listed.page, ended=ended, customer=customer))
        return listed.shown(page, Silence)


@router.post("/v1/silences", status_code=201)
def silence(services: Given, caller: Operates, wanted: NewSilence) -> Silence:
    """Notify nobody of matching incidents; they are judged on."""
    with refusals(), services.store.session() as session:
        matchers = {name: canonical(name, value, services.gate.providers) for name, value in wanted.matchers.items()}
        _only_own(services, caller, matchers)
        row = silences.silence(
            session, matchers=matchers, actor=caller.name, reason=wanted.reason, now=services.now(),
            until=wanted.until, by_customer=caller.customer, known=services.configured,
        )
    return Silence.from_row(row)


@router.delete("/v1/silences/{silence_id}")
def end_silence(services: Given, caller: Operates, silence_id: str, reason: Why) -> Silence:
    """End a silence."""
    with refusals(), services.store.session() as session:
        row = silences.end_silence(session, silence_id, actor=caller.name, reason=reason, now=services.now())
        if caller.customer not in {None, row.matchers.get("customer")}:
            raise LookupError(f"no silence {silence_id}")
    return Silence.from_row(row)


def _only_own(services: Services, caller: Caller, about: Mapping[str, str]) -> None:
    """Raise for a key bound to a customer unless that customer is named, and nothing of another's."""
    services.own(caller, about)
    if caller.customer is not None and "customer" not in about:
        raise ForeignError(f"customer: this key is bound to {caller.customer}; name it")
