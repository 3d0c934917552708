"""The rules on facts in the order they became known, without a database or a clock: what would have fired, and been held?

The conditions, the timers of incidents and the evidence are those of the service; what it does not do is notify, weigh how
much of the traffic is held, and inhibit. The same facts and rules give the same events.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from collectors.contract import Reason
from monitor.gate import Effect
from monitor.gate.words import StreamKind
from monitor.incidents.states import OPEN, Progress, State, Timing, input_of, step
from monitor.judging.simulated_evidence import SimulatedEvidence
from monitor.judging.simulated_facts import Line
from monitor.rules.conditions.excess_rule import Excess
from monitor.rules.conditions.table import judge
from monitor.rules.evidence import Hold
from monitor.rules.in_memory import Fact
from monitor.rules.model import Mode, Rule
from monitor.rules.unless import in_order, unevaluated
from monitor.rules.verdict import Answer, Group, Member, Verdict

Event = dict[str, Any]
FIRES = frozenset({State.FIRING, State.RECOVERING})
_KEPT = timedelta(days=40)  # suspensions that ended longer ago are forgotten


@dataclass(slots=True)
class _Suspension:
    id: str
    group: Group
    member: Member
    since: datetime
    until: datetime | None
    ended_at: datetime | None = None
    timed_out: bool = False


@dataclass(slots=True)
class _Incident:
    progress: Progress = field(default_factory=Progress)
    suspensions: list[_Suspension] = field(default_factory=list)
    severity: str = ""
    quiet_since: datetime | None = None


class Simulation:
    """`transactional`: the (customer, stream) of which nothing is held by itself. `every`: the longest time between two looks.

    `judged` is called with each verdict of an incident, before what follows from it.
    """

    def __init__(
        self, rules: Sequence[Rule], every: timedelta = timedelta(minutes=10),
        transactional: Collection[tuple[str, str]] = (), judged: Callable[[Rule, Verdict], None] | None = None,
    ) -> None:
        self.rules = [rule for rule in in_order(rules) if rule.enabled and rule.mode is Mode.LIVE]
        self._every, self._transactional = every, frozenset(transactional)
        self._judged = judged
        self._incidents: dict[str, dict[Group, _Incident]] = {rule.id: {} for rule in self.rules}
        self._ended: dict[str, list[_Suspension]] = {rule.id: [] for rule in self.rules}
        self._evidence = SimulatedEvidence(datetime.fromtimestamp(0, UTC))
        self._evidence.kinds = dict.fromkeys(self._transactional, StreamKind.TRANSACTIONAL)
        for rule in self.rules:
            if isinstance(rule, Excess):
                self._evidence.watch(rule.signal)
        self._now: datetime | None = None
        self._due: datetime | None = None  # the next step
        self._came: set[str] = set()  # measures since the last look
        self._raising = {name for rule in self.rules for name in rule.signal.numerator}
        self._suspended = 0

    def take(self, line: Line) -> list[Event]:
        """One line. Answers with what changed before it: instants until then are judged first."""
        events = self.until(line.known_at)
        if line.measure is None:
            return [*events, *self._judge(line.known_at), {"event": "judged", "at": _text(line.known_at)}]
        self._add(line.measure, line)
        return events

    def learn(self, line: Line) -> None:
        """What was known before the first look: evidence, at which nothing is judged."""
        if line.measure is not None:
            self._add(line.measure, line)

    @property
    def size(self) -> int:
        """Sums kept in memory."""
        return self._evidence.size

    def forget(self, before: datetime) -> None:
        """Counts about times before this, at which no rule looks any more."""
        self._evidence.forget(before)

    def _add(self, measure: str, line: Line) -> None:
        self._evidence.add(Fact(measure, line.labels, line.at, line.value), line.known_at)
        self._came.add(measure)

    def until(self, now: datetime) -> list[Event]:
        """Judge what came, and every step, up to an instant (not included)."""
        if self._now is None or self._due is None:
            self._now, self._due = now, _next_step(now, self._every)
        events: list[Event] = []
        while self._now < now:
            # what only lowers a rate waits for the next step
            if self._now < self._due and not self._came.isdisjoint(self._raising):
                events += self._judge(self._now)
            if self._due >= now:
                break
            self._now = self._due
            self._due = _next_step(self._now, self._every)
            events += self._judge(self._now, everything=True)
        self._now = max(self._now, now)
        return events

    def end(self) -> list[Event]:
        """Judge what came last."""
        return self._judge(self._now, everything=True) if self._now else []

    def _judge(self, now: datetime, *, everything: bool = False) -> list[Event]:
        """Judge the rules that the new facts speak to, or all."""
        came, self._came = self._came, set()
        events = list(self._expire(now))
        self._evidence.now = now
        # as in the service, a rule knows the holds of others as they were when the pass began
        self._evidence.held = {rule.id: self._holds(rule) for rule in self.rules}
        firing: dict[str, list[Group]] = {}
        for rule in self.rules:
            incidents = self._incidents[rule.id]
            wanted = everything or not came.isdisjoint(rule.signal.numerator)
            if wanted and (incidents or not self._evidence.seen_measures.isdisjoint(rule.signal.numerator)):
                events += self._rule(rule, now, firing)
            firing[rule.id] = [group for group, each in incidents.items() if each.progress.state in FIRES]
        return events

    def _rule(self, rule: Rule, now: datetime, firing: Mapping[str, Sequence[Group]]) -> Iterator[Event]:
        incidents, evidence = self._incidents[rule.id], self._evidence
        evidence.judged = {rule.id: list(incidents)}
        evidence.restarted = {rule.id: _restarts(evidence.held[rule.id])}
        verdicts = {verdict.group: verdict for verdict in unevaluated(rule, judge(rule, evidence, now), firing)}
        for group in list(incidents):
            if group not in verdicts:
                verdicts[group] = Verdict(group, Answer.CLEAR, rule.GONE)
        for group, verdict in verdicts.items():
            if group in incidents or verdict.answer is Answer.BREACH:
                if self._judged is not None:
                    self._judged(rule, verdict)
                yield from self._apply(rule, verdict, now)

    def _apply(self, rule: Rule, verdict: Verdict, now: datetime) -> Iterator[Event]:
        incident = self._incidents[rule.id].setdefault(verdict.group, _Incident())
        before = incident.progress.state
        timing = Timing(rule.for_, rule.keep_firing_for, max(timedelta(minutes=3), 2 * self._every))
        incident.progress = step(incident.progress, input_of(verdict), now, timing)
        if self._fell_quiet(rule, incident, verdict, now):
            incident.progress = Progress()
        state = incident.progress.state
        incident.severity = str(verdict.severity or rule.severity)
        if state is not before and {state, before} & OPEN:
            yield _incident_event(rule, verdict, state, now)
        if state is State.FIRING and verdict.answer is Answer.BREACH:
            yield from self._suspend(rule, incident, verdict, now)
        if state not in OPEN:
            for row in _in_force(incident):
                yield self._end(rule, incident, row, now)
            self._ended[rule.id] += incident.suspensions
            del self._incidents[rule.id][verdict.group]

    def _suspend(self, rule: Rule, incident: _Incident, verdict: Verdict, now: datetime) -> Iterator[Event]:
        """As monitor.judging.suspend: on for members that have none, off for those that are gone."""
        effect, active = rule.effect, {row.member.key: row for row in _in_force(incident)}
        if effect is None:
            return
        members = {member.key: member for member in verdict.members}
        for key, row in active.items():
            if key not in members:
                yield self._end(rule, incident, row, now)
        for key, member in members.items():
            spared = not effect.transactional and (member.scope.get("customer"), member.scope.get("stream")) in self._transactional
            lifted = max((row.ended_at for row in incident.suspensions if row.member.key == key and row.ended_at), default=None)
            if key in active or spared or not member.holds or (lifted is not None and lifted > member.evidence_at):
                continue
            self._suspended += 1
            until = now + effect.at_most if effect.at_most else None
            row = _Suspension(f"sus-{self._suspended}", verdict.group, member, now, until)
            incident.suspensions.append(row)
            yield _suspension_event(rule, incident, row, now)

    def _end(self, rule: Rule, incident: _Incident, row: _Suspension, at: datetime) -> Event:
        row.ended_at = at
        return _suspension_event(rule, incident, row, at)

    def _expire(self, now: datetime) -> Iterator[Event]:
        for rule in self.rules:
            for incident in self._incidents[rule.id].values():
                for row in _in_force(incident):
                    if row.until is not None and row.until <= now:
                        row.timed_out = True
                        yield self._end(rule, incident, row, row.until)
            ended = self._ended[rule.id]
            self._ended[rule.id] = [row for row in ended if row.ended_at is None or now - row.ended_at < _KEPT]

    def _holds(self, rule: Rule) -> dict[Group, list[Hold]]:
        rows = [*self._ended[rule.id], *(row for each in self._incidents[rule.id].values() for row in each.suspensions)]
        holds: dict[Group, list[Hold]] = {}
        for row in sorted(rows, key=lambda row: row.since):
            hold = Hold(row.since, row.ended_at, row.member.evidence, row.timed_out, row.member.scope)
            holds.setdefault(row.group, []).append(hold)
        return holds

    def _fell_quiet(self, rule: Rule, incident: _Incident, verdict: Verdict, now: datetime) -> bool:
        if rule.quiet_for is None or verdict.reason != Reason.NO_DATA or _in_force(incident):
            incident.quiet_since = None
            return False
        incident.quiet_since = incident.quiet_since or now
        return now - incident.quiet_since >= rule.quiet_for


def _restarts(holds: Mapping[Group, Sequence[Hold]]) -> dict[Group, datetime]:
    return {group: rows[-1].until for group, rows in holds.items() if rows[-1].until is not None}


def _in_force(incident: _Incident) -> list[_Suspension]:
    return [row for row in incident.suspensions if row.ended_at is None]


def _incident_event(rule: Rule, verdict: Verdict, state: State, now: datetime) -> Event:
    return {
        "event": "incident", "at": _text(now), "rule": rule.id, "scope": dict(verdict.group),
        "state": state.value if state in OPEN else "resolved", "severity": str(verdict.severity or rule.severity),
        "summary": verdict.summary, "evidence": verdict.evidence.encode(),
    }  # fmt: skip


def _suspension_event(rule: Rule, incident: _Incident, row: _Suspension, at: datetime) -> Event:
    effect = rule.effect
    assert effect is not None
    return {
        "event": "suspension", "at": _text(at), "id": row.id, "rule": rule.id, "severity": incident.severity,
        "effect": effect.action.value, "scope": dict(row.member.scope), "until": _text(row.until) if row.until else None,
        "rate_per_hour": effect.rate_per_hour, "probe": effect.probe if effect.action is Effect.HOLD else None,
        "lifted": row.ended_at is not None,
    }  # fmt: skip


def _next_step(now: datetime, every: timedelta) -> datetime:
    """The next whole multiple of `every` since 1970."""
    seconds = every.total_seconds()
    return datetime.fromtimestamp((now.timestamp() // seconds + 1) * seconds, UTC)


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if not at.microsecond else at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
