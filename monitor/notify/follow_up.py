"""What a firing incident owes people while nothing about it changes: reminders, the next step where nobody looks after it, the end of
an acknowledgement whose time is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session

from monitor.database.tables import Incident, Outbox
from monitor.database.transitions import BEFORE
from monitor.facts import Store
from monitor.incidents.causes import runbook_of
from monitor.incidents.changes import ACKNOWLEDGED, break_acknowledgement, changes_of
from monitor.incidents.rows import firing_incidents, locked_incident, open_members
from monitor.incidents.silences import labels_of
from monitor.incidents.states import State
from monitor.notify import outbox
from monitor.notify.message import Event, Now, firing
from monitor.notify.queue import Notice, queue
from monitor.notify.quiet import Quiet, deliveries_of_whole, read_quiet
from monitor.notify.routing import Delivery, Routing
from monitor.restrictions.rows import is_in_force, of_incident, of_members
from monitor.rules.conditions.table import numbers_of
from monitor.rules.model import Rule

EVERY = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Owed:
    """A notification to one receiver, and the word its title begins with."""

    event: Event
    serial: str
    word: str
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class FollowUp:
    """One pass over what fires; what it writes it writes once, whoever passes."""

    store: Store
    routing: Routing
    clock: Callable[[], datetime]
    rules: Mapping[str, Rule] = field(default_factory=dict)
    console_url: str = ""

    def run(self) -> None:
        now = self.clock()
        with self.store.reading_session() as session:
            hushed = read_quiet(session, self.routing, now)
            wanting = [row.id for row in firing_incidents(session) if self._wants(session, row, hushed, now)]
        for incident_id in wanting:
            with self.store.session() as session:
                self._follow(session, incident_id, now)

    def _wants(self, session: Session, incident: Incident, hushed: Quiet, now: datetime) -> bool:
        return _ack_is_over(incident, now) or any(True for _ in self._owed(session, incident, hushed, now))

    def _follow(self, session: Session, incident_id: str, now: datetime) -> None:
        incident = locked_incident(session, incident_id)
        if incident is None or incident.ended_at is not None:
            return
        if _ack_is_over(incident, now):
            break_acknowledgement(session, incident, why="the time of the acknowledgement is over", now=now)
            session.flush()
        for owed in list(self._owed(session, incident, read_quiet(session, self.routing, now), now)):
            self._write(session, incident, owed, now)

    def _owed(self, session: Session, incident: Incident, hushed: Quiet, now: datetime) -> Iterator[Owed]:
        """What is due now and not written yet; nothing while somebody looks after it, or nobody is to be notified."""
        if incident.state != State.FIRING or incident.notified_at is None or incident.acked_at is not None:
            return
        labels = self._labels(incident)
        if hushed.why(labels):
            return
        sent = outbox.of_incident(session, incident.id)
        keys = {row.key for row in sent}
        alone_since = _alone_since(session, incident)
        for delivery in self._deliveries(session, incident, hushed):
            for owed in (*_reminders(sent, delivery, now), *_steps(delivery, alone_since, now)):
                if f"{incident.id}:{owed.event}{owed.serial}:{owed.delivery.receiver}" not in keys:
                    yield owed

    def _labels(self, incident: Incident) -> dict[str, str]:
        rule = self.rules.get(incident.rule)
        return labels_of(incident, rule.labels if rule else None)

    def _deliveries(self, session: Session, incident: Incident, hushed: Quiet) -> list[Delivery]:
        """Whom it goes to; of a member, those who did not hear of the incident it is part of."""
        if incident.member_count is not None:
            return deliveries_of_whole(hushed, incident.id, [self._labels(row) for row in open_members(session, incident.id)])
        heard = {row.receiver for row in outbox.of_incident(session, incident.part_of)} if incident.part_of else set()
        return [each for each in hushed.deliveries(self._labels(incident)) if each.receiver not in heard]

    def _write(self, session: Session, incident: Incident, owed: Owed, now: datetime) -> None:
        rule = self.rules.get(incident.rule)
        rows = [row for row in of_members(session, incident.id) or of_incident(session, incident.id) if is_in_force(row, now)]
        runbook = rule.runbook if rule else runbook_of(incident.rule)
        text = firing(incident, Now(incident.summary, numbers_of(incident.evidence), rows), runbook, self.console_url, word=owed.word)
        notice = Notice(owed.event, owed.serial, text, rule.labels if rule else {})
        queue(session, incident, notice, [owed.delivery], now)


def _reminders(sent: list[Outbox], delivery: Delivery, now: datetime) -> Iterator[Owed]:
    mine = [row for row in sent if row.receiver == delivery.receiver]
    if delivery.repeat and mine and now - max(row.created_at for row in mine) >= delivery.repeat:
        number = sum(row.event == Event.REMINDER for row in mine) + 1
        yield Owed(Event.REMINDER, str(number), "STILL FIRING", delivery)


def _steps(delivery: Delivery, alone_since: datetime, now: datetime) -> Iterator[Owed]:
    """The steps whose time has come since nobody looks after it."""
    for number, step in enumerate(delivery.escalate, 1):
        if now - alone_since >= step.after:
            serial = f"-step{number}-{int(alone_since.timestamp())}"
            yield Owed(Event.FIRING, serial, "ESCALATED", Delivery(step.receiver, f"escalated:{delivery.group_key}"))


def _alone_since(session: Session, incident: Incident) -> datetime:
    """Since when nobody looks after it: since it was notified of, or an acknowledgement ended."""
    broken = [row.at for row in changes_of(session, incident.id) if (row.old, row.new) == (ACKNOWLEDGED, BEFORE)]
    assert incident.notified_at is not None
    fired_at = incident.fired_at or incident.notified_at
    return max([fired_at, *broken])


def _ack_is_over(incident: Incident, now: datetime) -> bool:
    return incident.ack_until is not None and incident.ack_until <= now
