"""Who is notified of an incident's changes: outbox rows, written with the change they are about.

Whoever was notified that something fires is notified when it ends, also when it was silenced or rerouted since.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from monitor.database.tables import Silence
from monitor.incidents.silences import labels_of, made_by_customers, silenced, silences_at
from monitor.judging.case import Case
from monitor.notify.message import Event, Message
from monitor.notify.queue import Notice, queue
from monitor.notify.routing import Delivery, Routing

WORSENED_AT_MOST_EVERY = timedelta(minutes=1)


def write(case: Case, event: Event, message: Message, deliveries: Iterable[Delivery]) -> None:
    """One outbox row per receiver; a row whose key is there already stays as it is."""
    incident = case.incident
    serial = str(len(incident.notified_members)) if event is Event.WORSENED else ""
    queue(case.session, incident, Notice(event, serial, message, case.rule.labels if case.rule else {}), deliveries, case.now)


def due_event(case: Case) -> Event | None:
    """What to notify of now: `firing`, `worsened` (not too often), or None: nothing.

    Worsened: there are members or suspensions, or graver members, that the last notification did not have.
    """
    incident = case.incident
    ours, _ = _silences(case)
    if silenced(ours, incident, case.labels):
        return None
    if incident.notified_at is None:
        return Event.FIRING
    is_new = set(worth_notifying(case)) - set(incident.notified_members)
    return Event.WORSENED if is_new and case.now - incident.notified_at >= WORSENED_AT_MOST_EVERY else None


def worth_notifying(case: Case) -> list[str]:
    """What a message is about: the members of the breach, how grave each is at least, the suspensions put on."""
    worth = {*case.members, *(row.id for row in case.in_force())}
    for member in case.verdict.members:
        graver = member.severity.up_to_this[1:] if member.severity else ()
        worth.update(f"{member.key} {severity}" for severity in graver)
    return sorted(worth)


def deliveries(routing: Routing, case: Case) -> list[Delivery]:
    """The receivers an incident goes to. What a customer silenced itself keeps quiet those that hear of it alone."""
    _, customers = _silences(case)
    quiet = {customer for row, customer in customers if silenced([row], case.incident, case.labels)}
    hears_of = {each.name: each.customers for each in routing.receivers}
    wanted = routing.deliveries(labels_of(case.incident, case.labels))
    return [each for each in wanted if not any(hears_of.get(each.receiver, frozenset()) == {customer} for customer in quiet)]


def _silences(case: Case) -> tuple[list[Silence], list[tuple[Silence, str]]]:
    """Those in force: the provider's own, and those of customers."""
    rows = silences_at(case.session, case.now)
    made = made_by_customers(case.session, [row.id for row in rows])
    return [row for row in rows if row.id not in made], [(row, made[row.id]) for row in rows if row.id in made]
