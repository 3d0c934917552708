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
from monitor.incidents.causes import causes, runbook_of
from monitor.incidents.chain import Link
from monitor.incidents.changes import break_acknowledgement
from monitor.incidents.links import followed_from, write_links
from monitor.incidents.rows import common_labels, firing_incidents, lately_fired, locked_incident
from monitor.incidents.silences import labels_of
from monitor.incidents.states import State
from monitor.judging.case import Case
from monitor.judging.chain import new_links
from monitor.judging.stages import STAGES, Change, World, passed
from monitor.judging.wholes import differs, write_whole
from monitor.notify import message
from monitor.notify.message import Event, Message, Now
from monitor.notify.outbox import notified_of
from monitor.notify.queue import Notice, queue
from monitor.notify.quiet import read_quiet
from monitor.notify.routing import Delivery, Routing
from monitor.restrictions.rows import of_members, of_open_incidents
from monitor.rules.model import Mode, Rule
from monitor.rules.verdict import Answer, Verdict, key_of

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
    rules: Sequence[Rule]
    writing: Callable[[], AbstractContextManager[Session]]
    reconcile: Callable[[Case], list[str]]
    console_url: str

    def notify(self, fires: Sequence[Fires], now: datetime) -> None:
        """Notify of what fires by these verdicts, as far as it is new to those who hear of it; what has one cause as one."""
        with self.store.reading_session() as session:
            changes, chain = self._changes(session, fires, now)
            session.expunge_all()
        changes = [change for change in changes if _is_to_be_written(change)]
        if chain:
            with self.writing() as session:
                write_links(session, chain, now)
        for begin in range(0, len(changes), WRITTEN_AT_ONCE):
            with self.writing() as session:
                for change in changes[begin : begin + WRITTEN_AT_ONCE]:
                    self._write(session, change, now)

    def _changes(self, session: Session, fires: Sequence[Fires], now: datetime) -> tuple[list[Change], list[Link]]:
        firing = firing_incidents(session)
        if not firing:
            return [], []
        rows = {(row.rule, row.open_key): row for row in firing if row.state == State.FIRING}
        suspensions = of_open_incidents(session)
        changes = [
            Change(rule, row, verdict, suspensions.get(row.id, ()))
            for rule, verdict in fires if (row := rows.get((rule.id, key_of(verdict.group)))) is not None
        ]  # fmt: skip
        flapping = self.routing.flapping
        new = {row.rule for row in firing if row.notified_at is None}
        fired = lately_fired(session, new | causes().keys(), now - flapping.within) if new and flapping.times else {}
        given = common_labels(session)
        labels = {row.id: labels_of(row, given.get((row.rule, row.open_key))) for row in firing}
        signals = {rule.id: rule.signal.name for rule in self.rules if rule.mode is Mode.LIVE}
        quiet = read_quiet(session, self.routing, now, labels.values())
        world = World(now, quiet, firing, labels, signals, suspensions, fired)
        return passed(changes, world, STAGES), new_links(session, firing, signals, now)

    def _write(self, session: Session, change: Change, now: datetime) -> None:
        """The message, for whoever it goes to; whoever looked after it no longer does once it got worse."""
        incident = locked_incident(session, change.incident.id)
        if incident is None and change.is_whole:
            incident = change.incident
        if incident is None or incident.ended_at is not None:
            return
        case = Case(session, change.rule, incident, change.verdict, now, list(change.suspensions))
        if change.is_whole:
            write_whole(case, change.parts, change.joining)
        if change.is_whole and change.verdict.answer is Answer.CLEAR:
            text = message.resolved(incident, of_members(session, incident.id), change.verdict.summary, self.console_url)
            write_to(case, Event.RESOLVED, text, notified_of(session, incident.id))
        elif change.event is not None:
            self._fires(case, change)

    def _fires(self, case: Case, change: Change) -> None:
        incident, worsened = case.incident, change.event is Event.WORSENED
        refused = [] if change.is_whole else self.reconcile(case)
        follows = followed_from(case.session, change.ids, change.labels.get("customer"))
        now = Now(case.verdict.summary, case.verdict.evidence, case.in_force(), refused, follows)
        text = message.firing(incident, now, case.runbook or runbook_of(incident.rule), self.console_url, worsened=worsened)
        if worsened and incident.acked_at is not None:
            break_acknowledgement(case.session, incident, why="it got worse", now=case.now)
        if change.note is not None and change.note.is_said:
            text = change.note.on(text)
        write_to(case, change.event or Event.FIRING, text, change.deliveries)
        incident.notified_at = case.now
        worth = replace(change, suspensions=case.suspensions()).worth_notifying(case.now)
        incident.notified_members = sorted({*incident.notified_members, *worth})
        case.session.add(incident)


def _is_to_be_written(change: Change) -> bool:
    return change.event is not None or (change.is_whole and differs(change.incident, change.verdict, change.parts, change.joining))
