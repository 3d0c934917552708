"""Who is told what of an incident: outbox rows, written with the change they tell of.

Whoever was told that something fires is told when it ends, also when it was silenced or rerouted since.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from sqlmodel import Session, col, select

from monitor.database.tables import Incident, Outbox
from monitor.incidents.silences import silenced, silences_at
from monitor.judging.case import Case
from monitor.notify.message import Message, Receiver, receivers_of
from monitor.rules.verdict import SEVERITIES

GROWN_AT_MOST_EVERY = timedelta(minutes=1)


def write(case: Case, event: str, message: Message, names: Iterable[str]) -> None:
    """One outbox row per receiver; a row whose key is there already stays as it is."""
    incident = case.incident
    serial = len(incident.told_members) if event == "grown" else ""
    for name in names:
        key = f"{incident.id}:{event}{serial}:{name}"
        if case.session.exec(select(Outbox.id).where(Outbox.key == key)).first() is None:
            case.session.add(Outbox(
                key=key, incident_id=incident.id, receiver=name, event=event, severity=incident.severity,
                title=message.title, body=message.body, created_at=case.now, next_attempt_at=case.now,
            ))


def due_event(case: Case) -> str | None:
    """`firing`, `grown` (new members, brakes or graver ones since we told, not too often), or None: nothing."""
    incident = case.incident
    if silenced(silences_at(case.session, case.now), incident, case.verdict.labels):
        return None
    if incident.told_at is None:
        return "firing"
    if set(worth_telling(case)) - set(incident.told_members) and case.now - incident.told_at >= GROWN_AT_MOST_EVERY:
        return "grown"
    return None


def worth_telling(case: Case) -> list[str]:
    """What a message tells of: the members of the breach, how grave each is at least, and the brakes put on."""
    told = {*case.members, *(brake.id for brake in case.brakes_in_force())}
    for member in case.verdict.members:
        gravity = SEVERITIES.index(member.severity) if member.severity else 0
        told.update(f"{member.key} {severity}" for severity in SEVERITIES[1 : gravity + 1])
    return sorted(told)


def told(session: Session, incident: Incident) -> list[str]:
    """The receivers that were, or are about to be, told that this incident fires."""
    query = select(Outbox.receiver).where(Outbox.incident_id == incident.id, col(Outbox.event) != "resolved")
    return sorted(set(session.exec(query)))


def routes(receivers: Sequence[Receiver], incident: Incident) -> list[str]:
    """The receivers an incident goes to."""
    return receivers_of(receivers, incident.rule, incident.severity, incident.subject)
