"""What follows for an incident from its state: its words, its suspensions, its end. That it fires is notified of after the pass."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from collectors.contract import Reason
from monitor.database.tables import Incident
from monitor.database.transitions import new_id
from monitor.incidents.changes import moved
from monitor.incidents.states import OPEN, Progress, State
from monitor.judging import enqueue, suspend
from monitor.judging.case import Case
from monitor.judging.held import Limits, Traffic
from monitor.notify import message
from monitor.notify.message import Event
from monitor.notify.outbox import notified_of
from monitor.restrictions import shadow
from monitor.restrictions.rows import ended_at
from monitor.restrictions.suspensions import take_off
from monitor.rules.conditions.table import numbers_of
from monitor.rules.model import Rule
from monitor.rules.numbers import Numbers
from monitor.rules.verdict import Answer, Verdict, key_of

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC")  # as rules.texts.minute writes it
_WORDS_FOR = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Moves:
    """How far automation may go, and where the console is."""

    traffic: Traffic
    limits: Limits
    console_url: str

    def move(self, case: Case, after: Progress) -> Progress:
        """Bring the incident to this state, with all that follows; returns where its group stands then."""
        incident, verdict = case.incident, case.verdict
        before = incident.state
        after = Progress() if fell_quiet(case) or after.state not in OPEN else after
        state = after.state
        incident.state, incident.judged_at = state.value, case.now
        incident.unknown_reason, incident.severity = verdict.reason, case.severity
        incident.summary, numbers = _kept(case)
        incident.evidence = numbers.encode()
        if state is State.FIRING and incident.fired_at is None:
            incident.fired_at = case.now
        case.session.add(incident)
        if before != state:
            moved(case.session, incident, (before, state.value), why=verdict.summary, actor=incident.rule, now=case.now)
        case.session.flush()
        if state is State.OK:
            self.end(case, _end_reason(verdict))
        elif state is State.FIRING:
            self.reconcile(case)
            case.session.flush()
        return after

    def reconcile(self, case: Case) -> list[str]:
        """Put on and take off what it wants; returns what was not done and why, in words for people."""
        return suspend.reconcile(case, self.traffic, self.limits)

    def end(self, case: Case, why: str) -> None:
        """End the incident, lift what is in force for it, and notify whoever was notified of it."""
        incident = case.incident
        incident.ended_at, incident.open_key = case.now, incident.id
        incident.evidence = replace(numbers_of(incident.evidence), now=None).encode()
        # what comes back step by step stays until it has (monitor.judging.recover)
        held = [] if case.effect is not None and case.effect.recover is not None else case.in_force()
        if held:
            self.traffic.forget()
        for row in held:
            take_off(case.session, row, actor=incident.rule, reason=why, now=case.now)
        shadow.compare(case.session, incident.rule, incident.subject_key, (), "", case.now)
        text = message.resolved(incident, case.suspensions(), why, self.console_url)
        enqueue.write_to(case, Event.RESOLVED, text, notified_of(case.session, incident.id))
        case.session.add(incident)


def _kept(case: Case) -> tuple[str, Numbers]:
    """Summary and numbers of the worst moment so far; `now` in them: what is so by now, where that is milder."""
    incident, verdict = case.incident, case.verdict
    breach = verdict.answer is Answer.BREACH
    worst = numbers_of(incident.evidence)
    if not incident.summary or (breach and verdict.evidence.gravity >= worst.gravity):
        return verdict.summary, verdict.evidence
    return incident.summary, replace(worst, now=verdict.summary)


def settled(case: Case, after: Progress) -> bool:
    """Whether nothing is to be written: its state, words and suspensions are as they should be."""
    return case.incident.state == after.state and _unchanged(case) and not _unsettled(case)


def _unchanged(case: Case) -> bool:
    incident, verdict = case.incident, case.verdict
    if (incident.severity, incident.unknown_reason) != (case.severity, verdict.reason):
        return False
    summary, numbers = _kept(case)
    before, after = (incident.summary, numbers_of(incident.evidence).now), (summary, numbers.now)
    if before == after:
        return True
    # a window moves with every pass, and "since" with it: that alone is no news, and there may be hundreds of incidents
    return case.now - incident.judged_at < _WORDS_FOR and _without_instants(before) == _without_instants(after)


def _without_instants(texts: Iterable[str | None]) -> list[str]:
    return [_INSTANT.sub("", text or "") for text in texts]


def _unsettled(case: Case) -> bool:
    """Whether an incident whose state stays wants something done: a suspension, its quiet end."""
    if case.incident.state == State.FIRING and (suspend.gone(case) or suspend.wanting(case)):
        return True
    return fell_quiet(case)


def fell_quiet(case: Case) -> bool:
    """Its suspension has ended by itself, and then nothing was sent for so long that nothing is left to judge."""
    rule, fired_at = case.rule, case.incident.fired_at
    if rule is None or rule.quiet_for is None or case.verdict.reason != Reason.NO_DATA or fired_at is None:
        return False
    if case.in_force():
        return False
    quiet_since = max([fired_at, *(end for row in case.suspensions() if (end := ended_at(row)) is not None)])
    return case.now - quiet_since >= rule.quiet_for


def new_incident(rule: Rule, verdict: Verdict, now: datetime) -> Incident:
    """One that has not been written yet."""
    key = key_of(verdict.group)
    return Incident(
        id=new_id("inc"), rule=rule.id, subject_key=key, open_key=key, subject=dict(verdict.group),
        state=State.OK.value, severity=verdict.severity or rule.severity, started_at=now, judged_at=now,
    )


def _end_reason(verdict: Verdict) -> str:
    return "no mail any more, so nothing to judge" if verdict.answer is Answer.UNKNOWN else verdict.summary
