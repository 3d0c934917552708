"""Changes of an incident, each with its transition in the same transaction."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from monitor.database.tables import Incident, Transition
from monitor.database.transitions import check_reason


def acknowledge(session: Session, incident_id: str, *, actor: str, reason: str, now: datetime) -> Incident:
    """Say that a person looks after an incident. Raises LookupError, or ValueError when it has ended."""
    check_reason(reason)
    incident = session.get(Incident, incident_id)
    if incident is None:
        raise LookupError(f"no incident {incident_id}")
    if incident.ended_at is not None:
        raise ValueError(f"incident {incident_id} has ended")
    incident.acked_by, incident.acked_at, incident.ack_reason = actor, now, reason
    session.add(incident)
    moved(session, incident, (incident.state, "acknowledged"), why=reason, actor=actor, now=now)
    return incident


def moved(
    session: Session, incident: Incident, change: tuple[str, str], *, why: str, actor: str, now: datetime
) -> None:
    """Write the transition of an incident; `change` is (old, new)."""
    session.add(Transition(
        at=now, kind="incident", of=incident.id, old=change[0], new=change[1], why=why, actor=actor,
        rule=incident.rule, evidence=dict(incident.evidence),
    ))
