"""Is nobody to be notified of an incident now: silenced, or explained by another that fires? And who hears of it all the same?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlmodel import Session

from monitor.database.tables import Silence
from monitor.incidents.rows import firing_incidents
from monitor.incidents.silences import labels_of, made_by_customers, silenced_by, silences_at
from monitor.notify.routing import Delivery, Routing


def is_quiet(session: Session, routing: Routing, labels: Mapping[str, str], now: datetime) -> bool:
    """Whether nobody is notified. `labels` are those of an incident (monitor.incidents.silences.labels_of)."""
    ours, _ = _silences(session, now)
    if silenced_by(ours, labels):
        return True
    if not routing.inhibitions:
        return False
    return bool(routing.inhibited_by(labels, [labels_of(row) for row in firing_incidents(session)]))


def deliveries_now(session: Session, routing: Routing, labels: Mapping[str, str], now: datetime) -> list[Delivery]:
    """Whom it goes to. What a customer silenced itself keeps quiet those that hear of that customer alone."""
    _, customers = _silences(session, now)
    quiet = {customer for row, customer in customers if silenced_by([row], labels)}
    hears_of = {each.name: each.customers for each in routing.receivers}
    return [
        each for each in routing.deliveries(labels)
        if not any(hears_of.get(each.receiver, frozenset()) == {customer} for customer in quiet)
    ]  # fmt: skip


def _silences(session: Session, now: datetime) -> tuple[list[Silence], list[tuple[Silence, str]]]:
    """Those in force: the provider's own, and those of customers."""
    rows = silences_at(session, now)
    made = made_by_customers(session, [row.id for row in rows])
    return [row for row in rows if row.id not in made], [(row, made[row.id]) for row in rows if row.id in made]
