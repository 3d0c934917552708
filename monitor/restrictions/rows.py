"""Suspensions as rows, and the one place that says which are in force.

In force at an instant: put on by then, not lifted, and `until` not reached. One whose time is over is out of force
from `until` on, whether its end was written already or not (`suspensions.expire` writes it).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, select

from monitor.database.paging import Order, Page, Paged, paged
from monitor.database.tables import Incident, Suspension
from monitor.database.transitions import TransitionKind, newest_of_kind

_NEWEST = Order((col(Suspension.since), col(Suspension.id)))


def is_in_force(row: Suspension, now: datetime) -> bool:
    end = ended_at(row)
    return end is None or (row.lifted_at is None and end > now)


def ended_at(row: Suspension) -> datetime | None:
    """When it ended, or will by itself; None: it stays until somebody or something lifts it."""
    return min((at for at in (row.lifted_at, row.until) if at is not None), default=None)


def _standing(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """`is_in_force` as the database is asked for it."""
    return col(Suspension.lifted_at).is_(None), col(Suspension.until).is_(None) | (col(Suspension.until) > now)


def in_force(session: Session, now: datetime) -> list[Suspension]:
    """Every suspension in force, the oldest first."""
    return list(session.exec(select(Suspension).where(*_standing(now)).order_by(col(Suspension.since))))


def suspension_named(session: Session, suspension_id: str) -> Suspension | None:
    return session.get(Suspension, suspension_id)


def ids_in_force(session: Session, now: datetime) -> frozenset[str]:
    return frozenset(session.exec(select(Suspension.id).where(*_standing(now))))


def count_in_force(session: Session, now: datetime) -> int:
    return session.exec(select(func.count()).select_from(Suspension).where(*_standing(now))).one()


def count_put_on_by(session: Session, customer: str, now: datetime) -> int:
    """How many in force that customer's own keys have put on."""
    return session.exec(select(func.count()).select_from(Suspension).where(*_standing(now), Suspension.by_customer == customer)).one()


def newest_suspensions(session: Session, now: datetime, limit: int) -> list[Suspension]:
    """Those in force, the newest first."""
    chosen = select(Suspension).where(*_standing(now)).order_by(col(Suspension.since).desc(), col(Suspension.id))
    return list(session.exec(chosen.limit(limit)))


def newest_restriction(session: Session, after: int = 0) -> int:
    """The version of what is in force: the id of the newest change of a restriction, `after` where none is newer.

    Changes are committed in the order of their ids, so a snapshot that shows this one shows all before it.
    """
    return newest_of_kind(session, TransitionKind.SUSPENSION, after)


def find_suspensions(
    session: Session, now: datetime, page: Page, *, lifted: bool = False, customer: str | None = None
) -> Paged[Suspension]:
    """Newest first: those in force, or with `lifted` also those that were. Raises PlaceError."""
    chosen = select(Suspension)
    if not lifted:
        chosen = chosen.where(*_standing(now))
    if customer is not None:
        chosen = chosen.where(col(Suspension.scope)["customer"].as_string() == customer)
    return paged(session, chosen, _NEWEST, page)


def holds_since(session: Session, since: datetime) -> list[Suspension]:
    """Every hold that was in force at some time after `since`."""
    not_over = (col(column).is_(None) | (col(column) > since) for column in (Suspension.lifted_at, Suspension.until))
    return list(session.exec(select(Suspension).where(Suspension.effect == "hold", *not_over)))


def overdue(session: Session, now: datetime) -> list[Suspension]:
    """Those whose time is over and whose end is not written yet."""
    return list(session.exec(
        select(Suspension).where(col(Suspension.lifted_at).is_(None), col(Suspension.until) <= now)
    ))


def of_incident(session: Session, incident_id: str) -> list[Suspension]:
    """Those of an incident, lifted ones too, the oldest first."""
    chosen = select(Suspension).where(Suspension.incident_id == incident_id)
    return list(session.exec(chosen.order_by(col(Suspension.since))))


def of_members(session: Session, incident_id: str) -> list[Suspension]:
    """Those of the members of an incident, lifted ones too, the oldest first."""
    chosen = select(Suspension).join(Incident, col(Suspension.incident_id) == Incident.id).where(Incident.part_of == incident_id)
    return list(session.exec(chosen.order_by(col(Suspension.since))))


def of_open_incidents(session: Session, rule: str | None = None) -> dict[str, list[Suspension]]:
    """By incident: those of each incident, of a rule or of all, that has not ended, lifted ones too, the oldest first."""
    chosen = (
        select(Suspension).join(Incident, col(Suspension.incident_id) == Incident.id)
        .where(col(Incident.ended_at).is_(None)).order_by(col(Suspension.since))
    )
    chosen = chosen if rule is None else chosen.where(Incident.rule == rule)
    rows: dict[str, list[Suspension]] = {}
    for row in session.exec(chosen):
        rows.setdefault(row.incident_id or "", []).append(row)
    return rows


def of_incidents(session: Session, incidents: Collection[str], now: datetime, limit: int) -> list[Suspension]:
    """Those of these incidents: those in force first, then the newest."""
    chosen = select(Suspension).where(col(Suspension.incident_id).in_(incidents)).order_by(col(Suspension.since).desc())
    return sorted(session.exec(chosen.limit(limit)), key=lambda row: not is_in_force(row, now))


def lifted_since(session: Session, since: datetime) -> list[tuple[str, Mapping[str, str], datetime]]:
    """The rule, the subject of the incident and the end, of every suspension of a rule that was lifted after `since`."""
    chosen = (
        select(Suspension.rule, Incident.subject, Suspension.lifted_at)
        .join(Suspension, col(Suspension.incident_id) == Incident.id)
        .where(col(Suspension.lifted_at) > since)
    )
    return [(rule, subject, at) for rule, subject, at in session.exec(chosen) if at is not None and rule is not None]


def of_rule_since(session: Session, rule: str, since: datetime) -> list[tuple[Mapping[str, str], Suspension]]:
    """The subject of the incident and the suspension, of all of a rule that were in force after `since`, the oldest first."""
    chosen = (
        select(Incident.subject, Suspension)
        .join(Suspension, col(Suspension.incident_id) == Incident.id)
        .where(col(Suspension.rule) == rule, col(Suspension.lifted_at).is_(None) | (col(Suspension.lifted_at) > since))
        .order_by(col(Suspension.since))
    )
    return list(session.exec(chosen))
