"""Incidents as rows: found page by page, and one with everything that changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlmodel import Session, col, select

from monitor.database.paging import Order, Page, Paged, paged
from monitor.database.tables import Incident, Transition

States = Literal["open", "pending", "firing", "recovering", "ended", "all"]
_NEWEST = Order((col(Incident.started_at), col(Incident.id)))
_MOST_CHANGES = 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which incidents; `open` is whatever has not ended."""

    state: States = "open"
    rule: str | None = None
    customer: str | None = None


def find_incidents(session: Session, wanted: Wanted, page: Page) -> Paged[Incident]:
    """Newest first. Raises PlaceError."""
    chosen = select(Incident)
    if wanted.state in {"open", "ended"}:
        ended = col(Incident.ended_at)
        chosen = chosen.where(ended.is_(None) if wanted.state == "open" else ended.is_not(None))
    elif wanted.state != "all":
        chosen = chosen.where(Incident.state == wanted.state)
    if wanted.rule is not None:
        chosen = chosen.where(Incident.rule == wanted.rule)
    if wanted.customer is not None:
        chosen = chosen.where(col(Incident.subject)["customer"].as_string() == wanted.customer)
    return paged(session, chosen, _NEWEST, page)


def incident(session: Session, incident_id: str, customer: str | None = None) -> Incident:
    """One incident; of a customer, where one is named. Raises LookupError."""
    row = session.get(Incident, incident_id)
    if row is None or customer not in {None, row.subject.get("customer")}:
        raise LookupError(f"no incident {incident_id}")
    return row


def history(session: Session, incident_id: str) -> list[Transition]:
    """Its changes, oldest first."""
    changed = select(Transition).where(Transition.kind == "incident", Transition.of == incident_id)
    return list(session.exec(changed.order_by(col(Transition.id)).limit(_MOST_CHANGES)))
