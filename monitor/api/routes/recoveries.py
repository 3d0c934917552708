"""How held mail comes back, and a person's word on it for a stated time; what would be held, were nothing in shadow."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from monitor.api.access import all_customers
from monitor.api.given import LARGEST_RATE, Given, Listed, Look, Operates, Reads, Reasoned
from monitor.api.problem import refusals
from monitor.api.route import new_router
from monitor.config.quantities import When
from monitor.restrictions import recoveries, shadow
from monitor.restrictions.recovery import Stage
from monitor.restrictions.wire import Recovery, ShadowSuspension

router = new_router("operate")


class Override(Reasoned):
    """Where it stands until then; `rate_per_hour` with the stages that let something through."""

    stage: Stage
    until: When
    rate_per_hour: Annotated[int, Field(ge=1, le=LARGEST_RATE)] | None = None


@router.get("/v1/recoveries")
def list_recoveries(look: Look, caller: Reads, listed: Listed, *, ended: bool = False) -> list[Recovery]:
    """Scopes that rules held and that come back step by step, newest first; with `ended` also those that have."""
    with refusals():
        page = look(lambda session: recoveries.find_recoveries(session, listed.page, ended=ended, customer=caller.customer))
        return listed.shown(page, Recovery)


@router.get("/v1/shadow")
def list_shadows(look: Look, caller: Reads, listed: Listed, *, ended: bool = False) -> list[ShadowSuspension]:
    """What would be held, were nothing in shadow, newest first; with `ended` also what would have been."""
    with refusals():
        page = look(lambda session: shadow.find_shadows(session, listed.page, ended=ended, customer=caller.customer))
        return listed.shown(page, ShadowSuspension)


@router.post("/v1/recoveries/{recovery_id}/override")
def override(services: Given, caller: Operates, recovery_id: str, wanted: Override) -> Recovery:
    """Say where it stands until an instant; nothing moves it until then, and it goes on from there. Not for customers' keys."""
    all_customers(caller)
    now = services.now()
    with refusals(), services.store.session() as session:
        row = recoveries.override(
            session, recovery_id, stage=wanted.stage, until=wanted.until, rate_per_hour=wanted.rate_per_hour, actor=caller.name,
            reason=wanted.reason, now=now,
        )
    services.gate.refresh(services.store, now)
    return Recovery.from_row(row)
