"""Changes of an incident, each with its transition in the same transaction."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from monitor.database.tables import Incident, Transition
from monitor.database.transitions import BEFORE, TransitionKind, check_reason, history
from monitor.incidents.rows import open_members

ACKNOWLEDGED = "acknowledged"


def acknowledge(
    session: Session, incident_id: str, *, actor: str, reason: str, now: datetime, until: datetime | None = None
) -> Incident:
    """Say that a person looks after an incident, until then at most. Raises LookupError, or ValueError when it has ended.

    Nobody is reminded of it and no further step is taken until it gets worse, or the time is over.
    """
    check_reason(reason)
    if until is not None and until <= now:
        raise ValueError("until is in the past")
    incident = session.get(Incident, incident_id, with_for_update=True)
    if incident is None:
        raise LookupError(f"no incident {incident_id}")
    if incident.ended_at is not None:
        raise ValueError(f"incident {incident_id} has ended")
    old = ACKNOWLEDGED if incident.acked_at else BEFORE
    incident.acked_by, incident.acked_at, incident.ack_reason, incident.ack_until = actor, now, reason, until
    session.add(incident)
    # the incident goes on firing: that somebody looks after it is another fact than its state
    _write(session, incident, TransitionKind.ACKNOWLEDGEMENT, (old, ACKNOWLEDGED), why=reason, actor=actor, now=now)
    if incident.member_count is not None:  # with all its members
        for member in open_members(session, incident_id):
            acknowledge(session, member.id, actor=actor, reason=reason, now=now, until=until)
    return incident


def break_acknowledgement(session: Session, incident: Incident, *, why: str, now: datetime) -> None:
    """Nobody looks after it any more: it got worse, or the time of the acknowledgement is over."""
    incident.acked_by = incident.acked_at = incident.ack_reason = incident.ack_until = None
    session.add(incident)
    _write(session, incident, TransitionKind.ACKNOWLEDGEMENT, (ACKNOWLEDGED, BEFORE), why=why, actor=incident.rule, now=now)


def moved(
    session: Session, incident: Incident, change: tuple[str, str], *, why: str, actor: str, now: datetime
) -> None:
    """Write that the state of an incident changed; `change` is (old, new)."""
    _write(session, incident, TransitionKind.INCIDENT, change, why=why, actor=actor, now=now)


def joined(session: Session, member: Incident, whole: Incident, now: datetime) -> None:
    """An incident became a member of another, until it ends."""
    member.part_of, member.joined_at = whole.id, now
    session.add(member)
    _write(session, member, TransitionKind.MEMBERSHIP, (BEFORE, whole.id), why=f"one cause: {whole.rule}", actor=whole.rule, now=now)


def changes_of(session: Session, incident_id: str) -> list[Transition]:
    """Its changes of state, its acknowledgements and what it became a member of, the oldest first."""
    return history(session, (TransitionKind.INCIDENT, TransitionKind.ACKNOWLEDGEMENT, TransitionKind.MEMBERSHIP), incident_id)


def _write(
    session: Session, incident: Incident, kind: TransitionKind, change: tuple[str, str], *, why: str, actor: str, now: datetime
) -> None:
    session.add(Transition(
        at=now, kind=kind.value, of=incident.id, old=change[0], new=change[1], why=why, actor=actor,
        rule=incident.rule, evidence=dict(incident.evidence),
    ))
