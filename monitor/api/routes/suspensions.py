"""Suspensions and silences: what is held back, whom nobody is notified of; put on and taken off with a reason."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from monitor.access.keys import Caller
from monitor.api.given import (
    LARGEST_RATE,
    NO_NUL,
    Body,
    Given,
    Listed,
    Look,
    Name,
    Operates,
    Reads,
    Reasoned,
    Why,
    only_own,
)
from monitor.api.problem import refusals
from monitor.api.route import new_router
from monitor.api.services import Services
from monitor.config.quantities import When
from monitor.database.paging import USUAL
from monitor.gate import Effect
from monitor.incidents import silences
from monitor.incidents.matchers import Matcher, Operator, parse
from monitor.incidents.schedule import read_schedule
from monitor.incidents.wire import Incident, Silence, shown
from monitor.inventory.names import canonical
from monitor.restrictions import suspensions
from monitor.restrictions.rows import find_suspensions
from monitor.restrictions.self_lift import Conditions, check_self_lift
from monitor.restrictions.wire import Suspension

router = new_router("operate")


class NewSuspension(Reasoned):
    """Whom to hold back, how, and until when. `probe`: with hold, the share of messages that is let through, to be judged by."""

    scope: dict[Name, Name] = Field(min_length=1, max_length=8, examples=[{"customer": "acme", "provider": "gmail"}])
    effect: Effect = Effect.HOLD
    rate_per_hour: Annotated[int, Field(ge=1, le=LARGEST_RATE)] | None = None
    probe: Annotated[float, Field(gt=0, lt=1)] | None = None
    until: When | None = None


class NewSilence(Reasoned):
    """Which incidents to notify nobody of, and until when. Incidents must match all of `matchers` and `patterns`.

    `schedule` is for maintenance that recurs: `{"days": ["sun"], "from": "22:00", "to": "02:00", "zone": "Europe/Paris"}`.
    """

    matchers: dict[Name, Name] = Field(default_factory=dict, max_length=8, examples=[{"rule": "complaint-rate"}])
    patterns: list[Annotated[str, Field(max_length=1000, pattern=NO_NUL)]] = Field(
        default_factory=list, max_length=8, examples=[['ip=~"192\\.0\\.2\\..*"', 'severity!="critical"']]
    )
    since: When | None = None
    until: When
    schedule: dict[Name, Any] | None = Field(default=None, max_length=4)


class Matchers(Body):
    """Which incidents would be silenced?"""

    matchers: dict[Name, Name] = Field(default_factory=dict, max_length=8)
    patterns: list[Annotated[str, Field(max_length=1000, pattern=NO_NUL)]] = Field(default_factory=list, max_length=8)


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
        only_own(services, caller, scope)
        row = suspensions.hold(
            session, scope=scope, effect=wanted.effect, actor=caller.name, reason=wanted.reason, now=now,
            until=wanted.until, rate_per_hour=wanted.rate_per_hour, probe=wanted.probe, by_customer=caller.customer,
        )
    services.gate.refresh(services.store, now)
    return Suspension.from_row(row)


@router.delete("/v1/suspensions/{suspension_id}")
def lift(
    services: Given, caller: Operates, suspension_id: str, reason: Why, *, list_changed: bool = False
) -> Suspension:
    """Lift a suspension. A customer's key lifts those a key of that customer put on, and what a rule holds of its campaign where
    `api.self_lift` allows it (`list_changed`: the list of recipients was changed since); others where a setting says so.
    """
    now = services.now()
    with refusals(), services.store.session() as session:
        customer = caller.customer
        if customer is not None:
            row = suspensions.customers_suspension(session, suspension_id, customer)
            if row.by_customer != customer and not services.settings.customers_lift and row.lifted_at is None:
                stated = services.settings.self_lift
                conditions = Conditions(**stated.model_dump()) if stated is not None else None
                check_self_lift(session, row, customer, conditions, list_changed=list_changed, now=now)
            if row.by_customer != customer and row.lifted_at is None:
                row.lifted_by_customer = customer
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
        matchers = _matchers(services, caller, wanted)
        schedule = read_schedule(wanted.schedule) if wanted.schedule is not None else None
        row = silences.put_silence(
            session, silences.Wanted(matchers, wanted.until, wanted.since, schedule), actor=caller.name,
            reason=wanted.reason, now=services.now(), by_customer=caller.customer, known=services.configured,
        )
    return Silence.from_row(row)


@router.post("/v1/silences/preview")
def preview(services: Given, caller: Reads, wanted: Matchers) -> list[Incident]:
    """The open incidents that a silence with these matchers would be about, newest first, at most 1,000."""
    with refusals(), services.store.reading_session() as session:
        labels = services.configured.get(silences.RULE_LABELS, ())
        matching = silences.would_silence(session, _matchers(services, caller, wanted), caller.customer, labels)
        return shown(session, matching[:USUAL], caller.customer)


@router.delete("/v1/silences/{silence_id}")
def end_silence(services: Given, caller: Operates, silence_id: str, reason: Why) -> Silence:
    """End a silence. A customer's key ends those a key of that customer put on; others where a setting says so."""
    with refusals(), services.store.session() as session:
        silences.check_end(session, silence_id, caller.customer, may_end_others=services.settings.customers_lift)
        row = silences.end_silence(session, silence_id, actor=caller.name, reason=reason, now=services.now())
    return Silence.from_row(row)


def _matchers(services: Services, caller: Caller, wanted: NewSilence | Matchers) -> list[Matcher]:
    """All that is asked for, of which a customer's key may name only its own. Raises ValueError."""
    equal = {name: canonical(name, value, services.gate.providers) for name, value in wanted.matchers.items()}
    only_own(services, caller, equal)
    return [*(Matcher(name, Operator.EQUAL, value) for name, value in equal.items()), *map(parse, wanted.patterns)]
