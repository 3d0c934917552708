"""May a customer lift, by itself, what a rule holds of its campaign? Only under the conditions the provider stated.

The campaign alone: a stream, an IP or all of a customer is the provider's to give back. The detector begins anew at the lift, so what
the campaign sends after it is judged by itself, and holds it again where it is no better.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, func, select

from monitor.database.tables import Suspension


@dataclass(frozen=True, slots=True)
class Conditions:
    """`cool_down`: how long it was held at least; `at_most` lifts of one campaign `within`; `list_changed`: whether the customer has to
    say that the list of recipients was changed since.
    """

    cool_down: timedelta
    at_most: int
    within: timedelta
    list_changed: bool


def check_self_lift(
    session: Session, row: Suspension, customer: str, conditions: Conditions | None, *, list_changed: bool, now: datetime
) -> None:
    """Raises PermissionError that says which condition is not met."""
    if conditions is None or row.rule is None or "campaign" not in row.scope:
        raise PermissionError("a customer lifts what it put on itself; this suspension is the provider's")
    ready = row.since + conditions.cool_down
    if now < ready:
        raise PermissionError(f"it cools down first: lift it from {ready:%Y-%m-%dT%H:%M:%SZ} on")
    if conditions.list_changed and not list_changed:
        raise PermissionError("say that the list of recipients was changed since: list_changed=true")
    lifts = _lifts(session, customer, row.scope["campaign"], now - conditions.within)
    if lifts >= conditions.at_most:
        days = conditions.within / timedelta(days=1)
        raise PermissionError(f"campaign {row.scope['campaign']} was lifted {lifts} times within {days:g} days; ask your provider")


def _lifts(session: Session, customer: str, campaign: str, since: datetime) -> int:
    chosen = select(func.count()).select_from(Suspension).where(
        Suspension.lifted_by_customer == customer, col(Suspension.lifted_at) > since,
        col(Suspension.scope)["campaign"].as_string() == campaign,
    )
    return session.exec(chosen).one()
