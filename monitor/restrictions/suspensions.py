"""Suspensions put on, lifted, expired: each change writes its transition in the same transaction.

Nothing here commits: the caller's session does, so that a change, its transition and its outbox rows
stand or fall together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlmodel import Session

from collectors.dimensions import Use, names
from monitor.database.tables import Suspension, Transition
from monitor.database.transitions import BEFORE, TransitionKind, check_reason, new_id
from monitor.gate import Effect
from monitor.inventory.known import read_names
from monitor.restrictions.rows import count_put_on_by, overdue

SCOPE_DIMENSIONS = names(Use.SCOPE)
LIFTED = "lifted"
MOST_OF_A_CUSTOMER = 100  # in force, put on by its own keys: everybody who follows the gate carries them


def scope_key(scope: Mapping[str, str]) -> str:
    """One text per scope, whatever the order it was written in."""
    return "|".join(f"{name}={scope[name]}" for name in SCOPE_DIMENSIONS if name in scope)


def hold(  # noqa: PLR0913 - a row has so many parts, each named at the call
    session: Session,
    *,
    scope: Mapping[str, str],
    effect: str,
    actor: str,
    reason: str,
    now: datetime,
    until: datetime | None = None,
    rate_per_hour: int | None = None,
    probe: float | None = None,
    by_customer: str | None = None,
) -> Suspension:
    """An operator's suspension. Raises ValueError for an empty or unknown scope, a name the inventory
    does not know, a bad effect, or no reason.
    """
    _check(scope, effect, rate_per_hour)
    _check_probe(effect, probe)
    check_reason(reason)
    read_names(session).as_seen_by(by_customer).check(scope)
    if until is not None and until <= now:
        raise ValueError("until is in the past")
    if by_customer is not None and count_put_on_by(session, by_customer, now) >= MOST_OF_A_CUSTOMER:
        raise ValueError(f"{MOST_OF_A_CUSTOMER} suspensions of {by_customer} are in force: lift some, or take one of a wider scope")
    row = Suspension(
        id=new_id("sus"), scope=dict(scope), scope_key=scope_key(scope), effect=effect, actor=actor,
        rate_per_hour=rate_per_hour, probe=probe, text=reason, since=now, until=until, lifts_when="an operator lifts it",
        by_customer=by_customer,
    )
    return put_on(session, row, why=reason)


def put_on(session: Session, row: Suspension, *, why: str) -> Suspension:
    """Write a suspension and its transition."""
    session.add(row)
    session.add(Transition(
        at=row.since, kind=TransitionKind.SUSPENSION.value, of=row.id, old=BEFORE, new=row.effect, why=why, actor=row.actor,
        rule=row.rule, evidence={"scope": row.scope, **row.evidence},
    ))
    return row


def lift(session: Session, suspension_id: str, *, actor: str, reason: str, now: datetime) -> Suspension:
    """End a suspension. Lifting twice changes nothing. Raises LookupError for an unknown id."""
    check_reason(reason)
    row = session.get(Suspension, suspension_id)
    if row is None:
        raise LookupError(f"no suspension {suspension_id}")
    if row.lifted_at is None:
        take_off(session, row, actor=actor, reason=reason, now=now)
    return row


def customers_suspension(session: Session, suspension_id: str, customer: str) -> Suspension:
    """A suspension that is about this customer. Raises LookupError for any other."""
    row = session.get(Suspension, suspension_id)
    if row is None or row.scope.get("customer") != customer:
        raise LookupError(f"no suspension {suspension_id}")
    return row


def take_off(session: Session, row: Suspension, *, actor: str, reason: str, now: datetime) -> None:
    """Mark a suspension lifted and write its transition."""
    row.lifted_at, row.lifted_by, row.lift_reason = now, actor, reason
    session.add(row)
    session.add(Transition(
        at=now, kind=TransitionKind.SUSPENSION.value, of=row.id, old=row.effect, new=LIFTED, why=reason, actor=actor,
        rule=row.rule, evidence={"scope": row.scope},
    ))


def expire(session: Session, now: datetime) -> list[Suspension]:
    """Write the end of every suspension whose `until` has come."""
    due = overdue(session, now)
    for row in due:
        take_off(session, row, actor="expiry", reason="its time is over", now=now)
        row.lifted_at = row.until  # the gate let go then: what was sent since is sent after the suspension
    return due


def _check(scope: Mapping[str, str], effect: str, rate_per_hour: int | None) -> None:
    if not scope:
        raise ValueError("an empty scope would hold everything; name at least one dimension")
    if strange := set(scope) - set(SCOPE_DIMENSIONS):
        raise ValueError(f"no scope dimension {_list(strange)}; known: {', '.join(SCOPE_DIMENSIONS)}")
    if empty := [name for name, value in scope.items() if not value]:
        raise ValueError(f"scope {_list(empty)} is empty")
    if "stream" in scope and "customer" not in scope:
        raise ValueError("a stream belongs to a customer: name both")
    if effect not in set(Effect):
        raise ValueError(f"effect is {' or '.join(Effect)}, not {effect!r}")
    if (effect == Effect.SLOW) != (rate_per_hour is not None):
        raise ValueError("slow needs rate_per_hour, and hold takes none")
    if rate_per_hour is not None and rate_per_hour <= 0:
        raise ValueError("rate_per_hour must be above 0")


def _check_probe(effect: str, probe: float | None) -> None:
    if probe is not None and not (effect == Effect.HOLD and 0 < probe < 1):
        raise ValueError("probe is a share between 0 and 1, and goes with hold")


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
