"""Incidents as rows: which are open, which one a group has, which were."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, case, col, func, select

from monitor.config.severity import GRAVEST_FIRST
from monitor.database.paging import Order, Page, Paged, paged
from monitor.database.tables import Incident, VerdictRow
from monitor.incidents.states import State


class States(enum.StrEnum):
    """Which incidents a list has; `open` is whatever has not ended."""

    OPEN = "open"
    PENDING = State.PENDING.value
    FIRING = State.FIRING.value
    RECOVERING = State.RECOVERING.value
    ENDED = "ended"
    ALL = "all"


_NEWEST = Order((col(Incident.started_at), col(Incident.id)))
_STATES = (State.FIRING, State.RECOVERING, State.PENDING)


def open_incidents(session: Session, rule: str | None = None) -> list[Incident]:
    """Those that have not ended, of one rule or of all."""
    chosen = select(Incident).where(col(Incident.ended_at).is_(None))
    return list(session.exec(chosen if rule is None else chosen.where(Incident.rule == rule)))


def firing_incidents(session: Session) -> list[Incident]:
    """Those that fire or recover, the newest first."""
    chosen = select(Incident).where(col(Incident.ended_at).is_(None), col(Incident.fired_at).is_not(None))
    return list(session.exec(chosen.order_by(*_NEWEST.by)))


def fired_since(session: Session, since: datetime, rules: Collection[str], limit: int) -> list[Incident]:
    """Of these rules, what has fired since then, ended or not, the newest first."""
    chosen = select(Incident).where(col(Incident.fired_at) > since, col(Incident.rule).in_(rules))
    return list(session.exec(chosen.order_by(col(Incident.fired_at).desc(), col(Incident.id)).limit(limit)))


def open_members(session: Session, incident_id: str) -> list[Incident]:
    """The members of an incident that have not ended, the oldest first."""
    chosen = select(Incident).where(Incident.part_of == incident_id, col(Incident.ended_at).is_(None))
    return list(session.exec(chosen.order_by(col(Incident.started_at), col(Incident.id))))


def members_of(session: Session, incident_id: str, limit: int) -> list[Incident]:
    """The members of an incident, those that have not ended first, then the newest."""
    chosen = select(Incident).where(Incident.part_of == incident_id)
    return list(session.exec(chosen.order_by(col(Incident.ended_at).is_not(None), *_NEWEST.by).limit(limit)))


def members_of_any(session: Session, ids: Collection[str]) -> dict[str, str]:
    """The members of these incidents, ended ones too, and of which each is one."""
    if not ids:
        return {}
    chosen = select(Incident.id, Incident.part_of).where(col(Incident.part_of).in_(ids))
    return {member: whole for member, whole in session.exec(chosen) if whole is not None}


def common_labels(session: Session) -> dict[tuple[str, str], Mapping[str, str]]:
    """(rule, group) of what is open → what it is matched by beside its subject: its rule's labels, what all that is judged has alike."""
    chosen = select(VerdictRow.rule, VerdictRow.key, VerdictRow.labels).where(col(VerdictRow.state).in_(_STATES))
    return {(rule, key): labels for rule, key, labels in session.exec(chosen)}


def lately_fired(session: Session, rules: Collection[str], since: datetime) -> dict[tuple[str, str], int]:
    """(rule, group) → how often these rules have fired for it since then."""
    fired = select(Incident.rule, Incident.subject_key, func.count()).where(col(Incident.rule).in_(rules), col(Incident.fired_at) > since)
    return {(rule, key): count for rule, key, count in session.exec(fired.group_by(col(Incident.rule), col(Incident.subject_key)))}


def open_by_gravity(session: Session, limit: int) -> list[Incident]:
    """Those that have not ended and are no member of another: the worst first, then what fires before what recovers or waits, then the oldest."""
    worst = case({name: rank for rank, name in enumerate(GRAVEST_FIRST)}, value=Incident.severity)
    state = case({name: rank for rank, name in enumerate(_STATES)}, value=Incident.state)
    chosen = select(Incident).where(col(Incident.ended_at).is_(None), col(Incident.part_of).is_(None))
    return list(session.exec(chosen.order_by(worst, state, col(Incident.started_at)).limit(limit)))


def open_of(session: Session, rule: str, key: str, *, lock: bool = False) -> Incident | None:
    """The open incident of a rule's group, if there is one; `lock` it against other writers."""
    chosen = select(Incident).where(Incident.rule == rule, Incident.open_key == key)
    return session.exec(chosen.with_for_update() if lock else chosen).first()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which incidents; `open` is whatever has not ended."""

    state: States = States.OPEN
    rule: str | None = None
    customer: str | None = None


def find_incidents(session: Session, wanted: Wanted, page: Page) -> Paged[Incident]:
    """Newest first. Raises PlaceError."""
    chosen = select(Incident)
    if wanted.state in {States.OPEN, States.ENDED}:
        ended = col(Incident.ended_at)
        chosen = chosen.where(ended.is_(None) if wanted.state == States.OPEN else ended.is_not(None))
    elif wanted.state != States.ALL:
        chosen = chosen.where(Incident.state == wanted.state)
    if wanted.rule is not None:
        chosen = chosen.where(Incident.rule == wanted.rule)
    if wanted.customer is not None:
        chosen = chosen.where(col(Incident.subject)["customer"].as_string() == wanted.customer)
    return paged(session, chosen, _NEWEST, page)


def locked_incident(session: Session, incident_id: str) -> Incident | None:
    """One incident, locked against other writers."""
    return session.get(Incident, incident_id, with_for_update=True)


def incident_named(session: Session, incident_id: str) -> Incident | None:
    return session.get(Incident, incident_id)


def incident(session: Session, incident_id: str, customer: str | None = None) -> Incident:
    """One incident; of a customer, where one is named. Raises LookupError."""
    row = incident_named(session, incident_id)
    if row is None or customer not in {None, row.subject.get("customer")}:
        raise LookupError(f"no incident {incident_id}")
    return row


def shown_to(session: Session, ids: Collection[str | None], customer: str | None) -> frozenset[str]:
    """Of these ids, those of incidents that may be shown to a customer (None: to the provider)."""
    chosen = select(Incident.id).where(col(Incident.id).in_([each for each in ids if each is not None]))
    if customer is not None:
        chosen = chosen.where(col(Incident.subject)["customer"].as_string() == customer)
    return frozenset(session.exec(chosen))


def newest_incidents(session: Session, limit: int) -> list[Incident]:
    """The newest first, ended ones too."""
    return list(session.exec(select(Incident).order_by(*_NEWEST.by).limit(limit)))


def count_open(session: Session) -> Sequence[tuple[str, str, int]]:
    """Severity, state and how many have not ended."""
    counted = select(Incident.severity, Incident.state, func.count())
    counted = counted.where(col(Incident.ended_at).is_(None), col(Incident.member_count).is_(None))  # its members are counted
    return session.exec(counted.group_by(Incident.severity, Incident.state)).all()
