"""One pass: what do the rules say of the facts now, and what changes?

Facts are read in a snapshot, judged purely, and every change is written in a transaction of its own with
its transition, suspensions and outbox rows. A pass that dies half-way is finished by the next one. One process
passes at a time (the caller holds the lease).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from collectors.contract import Reason
from monitor.database.tables import Incident
from monitor.database.transitions import new_id
from monitor.facts import Store
from monitor.incidents.changes import moved
from monitor.incidents.rows import incident_named, open_incidents, open_of
from monitor.incidents.states import Progress, State, Timing, step
from monitor.judging import enqueue, suspend
from monitor.judging.case import Case
from monitor.judging.evidence import StoreEvidence
from monitor.judging.feed_evidence import FeedEvidence
from monitor.judging.unasked import Configured, why_unasked
from monitor.notify import message
from monitor.notify.message import Event
from monitor.notify.outbox import notified_of
from monitor.notify.routing import Routing
from monitor.notify.words import NOW, gravity
from monitor.restrictions.rows import ended_at, in_force, overdue
from monitor.restrictions.suspensions import expire, take_off
from monitor.rules.conditions.table import judge
from monitor.rules.lists import KnownLists
from monitor.rules.model import Rule
from monitor.rules.unless import in_order, unevaluated
from monitor.rules.verdict import Answer, Group, Verdict, key_of

LONGEST_WAIT = timedelta(seconds=60)
SHORTEST_WAIT = timedelta(milliseconds=200)
FIRES = frozenset({State.FIRING, State.RECOVERING})  # people were notified, and not yet of its end


@dataclass(slots=True)
class Judge:
    """The rules, whom to notify, and how far automation may go.

    `intervals`: how often each configured collector runs; `feeds`: what is known of feedback loops, kept between passes;
    `lists`: what the catalogue says of DNS lists; `watched_lists`: those that are asked (None: not known).
    """

    store: Store
    rules: Sequence[Rule]
    routing: Routing = field(default_factory=Routing)
    limits: suspend.Limits = field(default_factory=suspend.Limits)
    console_url: str = ""
    intervals: Mapping[str, timedelta] = field(default_factory=dict)
    lists: KnownLists = field(default_factory=KnownLists)
    watched_lists: Collection[str] | None = None
    feeds: FeedEvidence = field(init=False)

    def __post_init__(self) -> None:
        self.feeds = FeedEvidence(self.store, self.intervals)
        self.rules = in_order(self.rules)

    def judge_all(self, now: datetime) -> timedelta:
        """Judge every rule; returns how long the next pass may wait."""
        with self.store.reading_session() as session:
            due = overdue(session, now)
        if due:
            with self.store.session() as session:
                expire(session, now)
        self._end_orphans(now)
        groups = self._open_groups()
        evidence = StoreEvidence(self.store, now, self.intervals, self.feeds, groups, self.lists, self.watched_lists)
        firing: dict[str, list[Group]] = {}
        for rule in self.rules:
            if rule.enabled:
                for verdict in self._verdicts(rule, evidence, groups.get(rule.id, []), firing):
                    if self._apply(rule, verdict, now) in FIRES:
                        firing.setdefault(rule.id, []).append(verdict.group)
        return self._wait(now)

    def _open_groups(self) -> dict[str, list[Group]]:
        """Rule → the groups of its open incidents."""
        groups: dict[str, list[Group]] = {}
        with self.store.reading_session() as session:
            for row in open_incidents(session):
                groups.setdefault(row.rule, []).append(tuple(row.subject.items()))
        return groups

    def _verdicts(
        self, rule: Rule, evidence: StoreEvidence, open_groups: Sequence[Group], firing: Mapping[str, Sequence[Group]]
    ) -> list[Verdict]:
        """Those that may change anything: of what is in breach, and of what has an open incident."""
        verdicts = unevaluated(rule, judge(rule, evidence, evidence.now), firing)
        judged = {verdict.group for verdict in verdicts}
        gone = [
            Verdict(group, Answer.CLEAR, rule.GONE) for group in open_groups
            if group not in judged and not self._ended_unasked(rule, group, evidence.now)
        ]  # fmt: skip
        known = set(open_groups)
        return [each for each in verdicts if each.answer is Answer.BREACH or each.group in known] + gone

    def _apply(self, rule: Rule, verdict: Verdict, now: datetime) -> State:
        """The state of the group's incident from now on."""
        timing = Timing(rule.for_, rule.keep_firing_for)
        with self.store.reading_session() as session:
            incident = open_of(session, rule.id, key_of(verdict.group))
            before = _progress(incident)
            after = step(before, verdict.answer, now, timing)
            if incident is None:
                settled = after.state is State.OK
            else:
                case = Case(session, rule, incident, verdict, now)
                settled = before == after and _unchanged(case) and not _unsettled(case)
        if settled:
            return after.state
        with self.store.session() as session:
            incident = open_of(session, rule.id, key_of(verdict.group), lock=True) or _new(rule, verdict, now)
            self._move(Case(session, rule, incident, verdict, now), after)
            return State(incident.state)

    def _move(self, case: Case, after: Progress) -> None:
        incident, verdict = case.incident, case.verdict
        before = incident.state
        state = State.OK if _fell_quiet(case) else after.state
        incident.state, incident.judged_at = state.value, case.now
        incident.elapsed_seconds, incident.counted_until = after.elapsed.total_seconds(), after.counted_until
        incident.unknown_reason, incident.severity = verdict.reason, case.severity
        incident.summary, incident.evidence = _kept(case)
        if state is State.FIRING and incident.fired_at is None:
            incident.fired_at = case.now
        case.session.add(incident)
        if before != state:
            moved(case.session, incident, (before, state.value), why=verdict.summary, actor=incident.rule, now=case.now)
        case.session.flush()
        if state is State.OK:
            self._end(case, _end_reason(verdict))
        elif state is State.FIRING:
            self._fire(case)

    def _fire(self, case: Case) -> None:
        refused = suspend.reconcile(case, self.store, self.limits)
        case.session.flush()
        event = enqueue.due_event(case)
        if event is None:
            return
        incident = case.incident
        now = message.Now(case.verdict.summary, case.verdict.evidence, case.in_force(), refused)
        text = message.firing(incident, now, case.runbook, self.console_url, worsened=event is Event.WORSENED)
        enqueue.write(case, event, text, enqueue.deliveries(self.routing, case))
        incident.notified_at = case.now
        incident.notified_members = sorted({*incident.notified_members, *enqueue.worth_notifying(case)})
        case.session.add(incident)

    def _end(self, case: Case, why: str) -> None:
        incident = case.incident
        incident.ended_at, incident.open_key = case.now, incident.id
        incident.evidence = {name: value for name, value in incident.evidence.items() if name != NOW}
        for row in case.in_force():
            take_off(case.session, row, actor=incident.rule, reason=why, now=case.now)
        text = message.resolved(incident, case.suspensions(), why, self.console_url)
        enqueue.write(case, Event.RESOLVED, text, notified_of(case.session, incident.id))
        case.session.add(incident)

    def _end_orphans(self, now: datetime) -> None:
        """End what a rule opened that is configured no more: nobody would ever judge it again."""
        known = {rule.id: rule for rule in self.rules if rule.enabled}
        with self.store.reading_session() as session:
            orphans = [row.id for row in open_incidents(session) if row.rule not in known]
        for incident_id in orphans:
            with self.store.session() as session:
                incident = incident_named(session, incident_id)
                if incident is not None and incident.ended_at is None:
                    self._end_at_once(session, incident, f"rule {incident.rule} is no longer configured", now)

    def _ended_unasked(self, rule: Rule, group: Group, now: datetime) -> bool:
        """Whether nobody asks about the group any more; then its incident has ended."""
        with self.store.reading_session() as session:
            why = why_unasked(session, group, Configured(self.intervals, self.watched_lists))
        if why is None:
            return False
        with self.store.session() as session:
            incident = open_of(session, rule.id, key_of(group), lock=True)
            if incident is not None:
                self._end_at_once(session, incident, why, now)
        return True

    def _end_at_once(self, session: Session, incident: Incident, why: str, now: datetime) -> None:
        gone = Verdict(tuple(incident.subject.items()), Answer.CLEAR, why)
        moved(session, incident, (incident.state, State.OK.value), why=why, actor="configuration", now=now)
        incident.state = State.OK.value
        self._end(Case(session, None, incident, gone, now), why)

    def _wait(self, now: datetime) -> timedelta:
        """Until the next timer or suspension runs out, at most a minute."""
        timers = {rule.id: {State.PENDING: rule.for_, State.RECOVERING: rule.keep_firing_for} for rule in self.rules}
        waits = [LONGEST_WAIT]
        with self.store.reading_session() as session:
            waits += [row.until - now for row in in_force(session, now) if row.until is not None]
            for row in open_incidents(session):
                needed = timers.get(row.rule, {}).get(State(row.state))
                if needed is not None and row.counted_until is not None:
                    waits.append(needed - timedelta(seconds=row.elapsed_seconds))
        return max(min(waits), SHORTEST_WAIT)


def _kept(case: Case) -> tuple[str, dict[str, Any]]:
    """Summary and evidence of the worst moment so far; `now` in the evidence: what is so by now, where that is milder."""
    incident, verdict = case.incident, case.verdict
    breach = verdict.answer is Answer.BREACH
    if not incident.summary or (breach and gravity(verdict.evidence) >= gravity(incident.evidence)):
        return verdict.summary, dict(verdict.evidence)
    return incident.summary, {**incident.evidence, NOW: verdict.summary}


def _unchanged(case: Case) -> bool:
    incident, verdict = case.incident, case.verdict
    summary, evidence = _kept(case)
    stored = (incident.summary, incident.evidence.get(NOW), incident.severity, incident.unknown_reason)
    return stored == (summary, evidence.get(NOW), case.severity, verdict.reason)


def _unsettled(case: Case) -> bool:
    """Whether an incident whose state stays wants something done: a suspension, a message, its quiet end."""
    if case.incident.state == State.FIRING and (
        suspend.gone(case) or suspend.wanting(case) or enqueue.due_event(case)
    ):
        return True
    return _fell_quiet(case)


def _fell_quiet(case: Case) -> bool:
    """Its suspension has ended by itself, and then nothing was sent for so long that nothing is left to judge."""
    rule, fired_at = case.rule, case.incident.fired_at
    if rule is None or rule.quiet_for is None or case.verdict.reason != Reason.NO_DATA or fired_at is None:
        return False
    if case.in_force():
        return False
    quiet_since = max([fired_at, *(end for row in case.suspensions() if (end := ended_at(row)) is not None)])
    return case.now - quiet_since >= rule.quiet_for


def _new(rule: Rule, verdict: Verdict, now: datetime) -> Incident:
    key = key_of(verdict.group)
    return Incident(
        id=new_id("inc"), rule=rule.id, subject_key=key, open_key=key, subject=dict(verdict.group),
        state=State.OK.value, severity=verdict.severity or rule.severity, started_at=now, judged_at=now,
    )


def _progress(incident: Incident | None) -> Progress:
    if incident is None:
        return Progress()
    return Progress(State(incident.state), timedelta(seconds=incident.elapsed_seconds), incident.counted_until)


def _end_reason(verdict: Verdict) -> str:
    return "no mail any more, so nothing to judge" if verdict.answer is Answer.UNKNOWN else verdict.summary
