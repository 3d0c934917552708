"""Which incident followed from which, as rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import or_
from sqlmodel import Session, col, select

from monitor.database.engine import insert_into
from monitor.database.tables import Incident, IncidentLink
from monitor.incidents.chain import Link

_MOST, _MOST_LINES = 500, 5


def write_links(session: Session, links: Iterable[Link], now: datetime) -> None:
    """Each once: one that is there stays as it was first seen."""
    rows = [
        {"cause_id": each.cause, "effect_id": each.effect, "at": now, "why": each.why, "evidence": dict(each.evidence)} for each in links
    ]
    if rows:
        connection = session.connection()
        connection.execute(insert_into(connection, IncidentLink).on_conflict_do_nothing(), rows)


def links_of(session: Session, ids: Collection[str]) -> list[IncidentLink]:
    """What these followed from, and what followed from them, the earliest first."""
    chosen = select(IncidentLink).where(or_(col(IncidentLink.cause_id).in_(ids), col(IncidentLink.effect_id).in_(ids)))
    return list(session.exec(chosen.order_by(col(IncidentLink.at), col(IncidentLink.cause_id), col(IncidentLink.effect_id)).limit(_MOST)))


def led_to(session: Session, ids: Collection[str]) -> list[tuple[IncidentLink, Incident]]:
    """What followed from these, each with its incident, the earliest first."""
    chosen = (
        select(IncidentLink, Incident).join(Incident, col(Incident.id) == col(IncidentLink.effect_id))
        .where(col(IncidentLink.cause_id).in_(ids)).order_by(col(Incident.fired_at), col(Incident.id)).limit(_MOST)
    )  # fmt: skip
    return list(session.exec(chosen))


def followed_from(session: Session, ids: Collection[str], customer: str | None = None) -> list[str]:
    """What these followed from, in a line each, the earliest first, and what that followed from in its turn.

    With a customer only what is about that customer: its contact may read it.
    """
    lines: dict[str, str] = {}
    known, next_ids = set(ids), set(ids)
    while next_ids and len(lines) < _MOST_LINES:
        chosen = (
            select(IncidentLink, Incident).join(Incident, col(Incident.id) == col(IncidentLink.cause_id))
            .where(col(IncidentLink.effect_id).in_(next_ids)).order_by(col(Incident.fired_at), col(Incident.id)).limit(_MOST)
        )  # fmt: skip
        rows = [
            (link, row) for link, row in session.exec(chosen)
            if row.id not in known and customer in {None, row.subject.get("customer")}
        ]  # fmt: skip
        lines = {row.id: f"{link.why} ({row.id}): {row.summary}" for link, row in rows} | lines
        next_ids = {row.id for _, row in rows}
        known |= next_ids
    return list(lines.values())[:_MOST_LINES]
