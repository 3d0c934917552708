"""Who is notified of an incident's changes: outbox rows, written with the change they are about.

Whoever was notified that something fires is notified when it ends, also when it was silenced or rerouted since.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from monitor.incidents.changes import break_acknowledgement
from monitor.incidents.silences import labels_of
from monitor.judging.case import Case
from monitor.notify.flapping import Note, note_on
from monitor.notify.message import Event, Message
from monitor.notify.queue import Notice, queue
from monitor.notify.quiet import deliveries_now, is_quiet
from monitor.notify.routing import Delivery, Routing

WORSENED_AT_MOST_EVERY = timedelta(minutes=1)


def write(case: Case, event: Event, message: Message, routing: Routing) -> None:
    """Notify the receivers that the routes lead to; whoever looked after it no longer does once it got worse."""
    if event is Event.WORSENED and case.incident.acked_at is not None:
        break_acknowledgement(case.session, case.incident, why="it got worse", now=case.now)
    if event is Event.FIRING and (note := _flapping(case, routing)).is_said:
        message = note.on(message)
    write_to(case, event, message, deliveries_now(case.session, routing, labels_of(case.incident, case.labels), case.now))


def write_to(case: Case, event: Event, message: Message, deliveries: Iterable[Delivery]) -> None:
    """One outbox row per receiver; a row whose key is there already stays as it is."""
    incident = case.incident
    serial = str(len(incident.notified_members)) if event is Event.WORSENED else ""
    queue(case.session, incident, Notice(event, serial, message, case.rule.labels if case.rule else {}), deliveries, case.now)


def due_event(case: Case, routing: Routing) -> Event | None:
    """What to notify of now: `firing`, `worsened` (not too often), or None: nothing.

    Worsened: there are members or suspensions, or graver members, that the last notification did not have.
    """
    incident = case.incident
    if incident.notified_at is not None:
        is_new = set(worth_notifying(case)) - set(incident.notified_members)
        if not is_new or case.now - incident.notified_at < WORSENED_AT_MOST_EVERY:
            return None
    if is_quiet(case.session, routing, labels_of(incident, case.labels), case.now):
        return None
    if incident.notified_at is None:
        return None if _flapping(case, routing).is_quiet else Event.FIRING
    return Event.WORSENED


def worth_notifying(case: Case) -> list[str]:
    """What a message is about: the members of the breach, how grave each is at least, the suspensions put on."""
    worth = {*case.members, *(row.id for row in case.in_force())}
    for member in case.verdict.members:
        graver = member.severity.up_to_this[1:] if member.severity else ()
        worth.update(f"{member.key} {severity}" for severity in graver)
    return sorted(worth)


def _flapping(case: Case, routing: Routing) -> Note:
    return note_on(case.session, case.incident, routing.flapping, case.now)
