"""After a pass: who is notified of what fires, and the outbox rows of it, some incidents in one transaction.

Whoever was notified that something fires is notified when it ends, also when it was silenced or rerouted since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel import Session

from monitor.facts import Store
from monitor.incidents.changes import break_acknowledgement
from monitor.incidents.rows import firing_incidents, lately_fired, locked_incident
from monitor.incidents.silences import labels_of
from monitor.incidents.states import State
from monitor.judging.case import Case
from monitor.judging.stages import STAGES, Change, World, passed
from monitor.notify import message
from monitor.notify.message import Event, Message, Now
from monitor.notify.queue import Notice, queue
from monitor.notify.quiet import read_quiet
from monitor.notify.routing import Delivery, Routing
from monitor.restrictions.rows import of_open_incidents
from monitor.rules.model import Rule
from monitor.rules.verdict import Verdict, key_of

WRITTEN_AT_ONCE = 100  # incidents in one transaction: others write between
Fires = tuple[Rule, Verdict]


def write_to(case: Case, event: Event, message: Message, deliveries: Iterable[Delivery]) -> None:
    """One outbox row per receiver; a row whose key is there already stays as it is."""
    incident = case.incident
    serial = str(len(incident.notified_members)) if event is Event.WORSENED else ""
    queue(case.session, incident, Notice(event, serial, message, case.rule.labels if case.rule else {}), deliveries, case.now)


@dataclass(frozen=True, slots=True)
class Notifying:
    """`writing` opens a transaction that writes, if this process still judges; `reconcile` says what is not held, and why."""

    store: Store
    routing: Routing
    writing: Callable[[], AbstractContextManager[Session]]
    reconcile: Callable[[Case], list[str]]
    console_url: str

    def notify(self, fires: Sequence[Fires], now: datetime) -> None:
        """Notify of what fires by these verdicts, as far as it is new to those who hear of it."""
        if not fires:
            return
        with self.store.reading_session() as session:
            changes = [change for change in self._changes(session, fires, now) if change.event is not None]
            session.expunge_all()
        for begin in range(0, len(changes), WRITTEN_AT_ONCE):
            with self.writing() as session:
                for change in changes[begin : begin + WRITTEN_AT_ONCE]:
                    self._write(session, change, now)

    def _changes(self, session: Session, fires: Sequence[Fires], now: datetime) -> list[Change]:
        firing = firing_incidents(session)
        rows = {(row.rule, row.open_key): row for row in firing if row.state == State.FIRING}
        suspensions = of_open_incidents(session)
        changes = [
            Change(rule, row, verdict, suspensions.get(row.id, ()))
            for rule, verdict in fires if (row := rows.get((rule.id, key_of(verdict.group)))) is not None
        ]  # fmt: skip
        flapping = self.routing.flapping
        new = {change.incident.rule for change in changes if change.incident.notified_at is None}
        fired = lately_fired(session, new, now - flapping.within) if new and flapping.times else {}
        labels = [labels_of(row) for row in firing] if self.routing.inhibitions else ()
        return passed(changes, World(now, read_quiet(session, self.routing, now, labels), fired), STAGES)

    def _write(self, session: Session, change: Change, now: datetime) -> None:
        """The message, for whoever it goes to; whoever looked after it no longer does once it got worse."""
        incident = locked_incident(session, change.incident.id)
        if incident is None or incident.ended_at is not None:
            return
        case = Case(session, change.rule, incident, change.verdict, now, list(change.suspensions))
        refused = self.reconcile(case)
        worsened = change.event is Event.WORSENED
        text = message.firing(
            incident, Now(case.verdict.summary, case.verdict.evidence, case.in_force(), refused), case.runbook,
            self.console_url, worsened=worsened,
        )
        if worsened and incident.acked_at is not None:
            break_acknowledgement(session, incident, why="it got worse", now=now)
        if change.note is not None and change.note.is_said:
            text = change.note.on(text)
        write_to(case, change.event or Event.FIRING, text, change.deliveries)
        incident.notified_at = now
        worth = replace(change, suspensions=case.suspensions()).worth_notifying(now)
        incident.notified_members = sorted({*incident.notified_members, *worth})
        session.add(incident)
