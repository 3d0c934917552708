"""Is nobody to be notified of an incident now: silenced, or explained by another that fires? And who hears of it all the same?

What is asked of the database is read once; then any number of incidents can be asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel import Session

from monitor.database.tables import Silence
from monitor.incidents.rows import common_labels, firing_incidents
from monitor.incidents.silences import labels_of, made_by_customers, silenced_by, silences_at
from monitor.notify.routing import Delivery, Routing


@dataclass(frozen=True, slots=True)
class Quiet:
    """`ours`: silences of the provider in force; `customers`: those of customers, with whose they are; `firing`: labels of what fires."""

    routing: Routing
    ours: Sequence[Silence] = ()
    customers: Sequence[tuple[Silence, str]] = ()
    firing: Sequence[Mapping[str, str]] = ()

    def why(self, labels: Mapping[str, str]) -> list[str]:
        """The ids of the silences and incidents because of which nobody is notified of an incident with these labels."""
        return silenced_by(self.ours, labels) or self.routing.inhibited_by(labels, self.firing)

    def deliveries(self, labels: Mapping[str, str]) -> list[Delivery]:
        """Whom it goes to. What a customer silenced itself keeps quiet those that hear of that customer alone."""
        quiet = {customer for row, customer in self.customers if silenced_by([row], labels)}
        deliveries = self.routing.deliveries(labels)
        if not quiet:
            return deliveries
        hears_of = {each.name: each.customers for each in self.routing.receivers}
        return [each for each in deliveries if not any(hears_of.get(each.receiver, frozenset()) == {customer} for customer in quiet)]


def deliveries_of_whole(quiet: Quiet, whole: str, parts: Iterable[Mapping[str, str]]) -> list[Delivery]:
    """Whom an incident with members goes to: whoever one of them would go to, in one group of its own.

    `parts`: the labels of its members. Who may not hear of every one of them (a customer's contact) hears of its own alone.
    """
    labels = list(parts)
    customers = {each.get("customer", "") for each in labels}
    may_hear = {each.name for each in quiet.routing.receivers if all(map(each.hears_of, customers))}
    chosen: dict[str, Delivery] = {}
    for each in labels:
        for delivery in () if quiet.why(each) else quiet.deliveries(each):
            if delivery.receiver in may_hear:
                chosen.setdefault(delivery.receiver, replace(delivery, group_key=whole, group={"incident": whole}))
    return list(chosen.values())


def read_quiet(session: Session, routing: Routing, now: datetime, firing: Iterable[Mapping[str, str]] | None = None) -> Quiet:
    """As it is now. `firing`: the labels of what fires, where they are known already."""
    rows = silences_at(session, now)
    made = made_by_customers(session, [row.id for row in rows])
    if firing is None:
        common = common_labels(session) if routing.inhibitions else {}
        rows_firing = firing_incidents(session) if routing.inhibitions else []
        firing = [labels_of(row, common.get((row.rule, row.open_key))) for row in rows_firing]
    ours = [row for row in rows if row.id not in made]
    return Quiet(routing, ours, [(row, made[row.id]) for row in rows if row.id in made], list(firing))
