"""One pass: what do the rules say of the facts now, and what changes?

A whole pass judges everything; one over news only the groups that what was counted since is about. Facts are judged purely;
every verdict is stored, all of a pass at its end, and every change of an incident is written with its verdict, transition and
suspensions in one transaction, some incidents at a time. Then people are notified (monitor.judging.stages). A pass that dies
half-way is finished by the next one. One process passes at a time: each of its transactions asks whether it still holds the lease.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session

from collectors.contract import Reason
from monitor.database.tables import Incident, VerdictRow
from monitor.database.transitions import new_id
from monitor.facts import Store
from monitor.incidents.changes import moved
from monitor.incidents.rows import incident_named, open_incidents, open_of
from monitor.incidents.states import OPEN, Progress, State, Timing, input_of, longest_gap, step
from monitor.judging import suspend, verdict_rows
from monitor.judging.case import Case
from monitor.judging.counters import Counters, Touched
from monitor.judging.enqueue import Notifying
from monitor.judging.evidence import StoreEvidence
from monitor.judging.feed_evidence import FeedEvidence
from monitor.judging.groups import Groups
from monitor.judging.held import Limits, Traffic
from monitor.judging.incident_moves import Moves, new_incident, settled
from monitor.judging.mail_evidence import MailEvidence
from monitor.judging.ratio_news import RatioNews
from monitor.judging.ratio_pass import MOST_WORDS, Extent, Rates, RatioPass
from monitor.judging.recover import Recovering
from monitor.judging.rule_rows import RuleRows
from monitor.judging.touched import NOTHING, Near, counters_of, reached
from monitor.judging.unasked import Configured, why_unasked
from monitor.judging.verdict_rows import Known, Pass, progress_of, read_stamp, row_of
from monitor.notify.routing import Routing
from monitor.restrictions import shadow
from monitor.restrictions.rows import in_force, of_open_incidents, overdue
from monitor.restrictions.suspensions import expire
from monitor.rules.conditions.ratio import Ratio
from monitor.rules.conditions.table import judge
from monitor.rules.lists import KnownLists
from monitor.rules.model import Mode, Rule
from monitor.rules.unless import in_order, unevaluated
from monitor.rules.verdict import Answer, Group, Verdict, key_of, unknown

log = logging.getLogger(__name__)

LONGEST_WAIT = timedelta(seconds=60)
SHORTEST_WAIT = timedelta(milliseconds=200)
WRITTEN_AT_ONCE = 100  # incidents in one transaction: others write between
MOST_TOUCHED = 300  # subjects; of more a whole pass is quicker
_FIRES = frozenset({State.FIRING, State.RECOVERING})  # people were notified, and not yet of its end
_FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)  # of a rule, not of the database


def _nothing(_: Session) -> None:
    pass


@dataclass(slots=True)
class Judge:
    """The rules, whom to notify, and how far automation may go.

    `intervals`: how often each configured collector runs; `feeds`: what is known of feeds, kept between passes; `lists`:
    what the catalogue says of DNS lists; `watched_lists`: those that are asked (None: not known). `check` is asked in every
    transaction that writes, and raises where another process judges by now.
    """

    store: Store
    rules: Sequence[Rule]
    routing: Routing = field(default_factory=Routing)
    limits: Limits = field(default_factory=Limits)
    console_url: str = ""
    intervals: Mapping[str, timedelta] = field(default_factory=dict)
    lists: KnownLists = field(default_factory=KnownLists)
    watched_lists: Collection[str] | None = None
    feeds: FeedEvidence = field(init=False)
    mails: MailEvidence = field(init=False)
    counters: Counters = field(init=False)
    check: Callable[[Session], None] = field(default=_nothing, init=False)
    _known: Known | None = field(default=None, init=False)  # None while a pass is under way
    _stamp: str | None = field(default=None, init=False)  # of the pass under way, once it wrote
    _moves: Moves = field(init=False)
    _notifying: Notifying = field(init=False)
    _recovering: Recovering = field(init=False)

    def __post_init__(self) -> None:
        self.counters = counters_of(self.store, self.rules)
        self.feeds = FeedEvidence(self.store, self.intervals, self.counters.sums)
        self.mails = MailEvidence(self.store)
        self.rules = in_order([rule for rule in self.rules if rule.enabled])
        self._moves = Moves(Traffic(self.counters.sums), self.limits, self.console_url)
        self._notifying = Notifying(self.store, self.routing, self.rules, self._writing, self._moves.reconcile, self.console_url)
        self._recovering = Recovering(self.store, self._moves.traffic, self._writing, self.console_url)

    def judge_all(self, now: datetime) -> timedelta:
        """Judge every rule; returns how long the next pass may wait."""
        known = self._begin()
        with self.store.reading_session() as session:
            due = overdue(session, now)
            if known is not None and known.stamp != read_stamp(session):  # another judged since
                known = None
        if known is None:
            self.mails.start_anew()
        if due:
            with self._writing() as session:
                expire(session, now)
        with self.store.one_snapshot():
            known = known or self._read_known()
            self._end_orphans(known, now)
            self.mails.came(self.counters.follow(now))
            work = Pass(self._evidence(now, known), known)
            rates = Rates(self.counters)
            words = MOST_WORDS // max(sum(rows.brief is not None for rows in known.rows.values()), 1)
            for rule in self.rules:
                self._judge(rule, work, rates, Extent(words, all=self._waits(rule, work)))
        work.write(self._writing, self.rules)
        self._recovering.advance({rule.id: rule for rule in self.rules if rule.mode is Mode.LIVE}, now)
        self._notifying.notify(work.fires, now)
        return self._end(known, now)

    def judge_news(self, now: datetime) -> timedelta | None:
        """Judge what was counted since the last pass, where a rule counts it; and rules about states if such came.

        For a judge that made the last pass itself. None, and nothing judged, where that wants a whole pass.
        """
        known = self._begin()
        with self.store.one_snapshot():
            touched = self.counters.follow(now)
            self.mails.came(touched)
            if known is None or touched is None or sum(map(len, touched.values())) > MOST_TOUCHED:
                self._known = known
                return None
            only = {rule.id: reached(rule, touched, others=self.counters.others_came) for rule in self.rules}
            work = Pass(self._evidence(now, known, only, touched), known)
            work.firing, rates = known.in_states(_FIRES), Rates(self.counters)
            settled = self._settled(only, work, rates)
            for rule in self.rules:
                waits = self._waits(rule, work)
                if only[rule.id] is not NOTHING and (waits or rule.id not in settled):
                    self._judge(rule, work, rates, Extent(all=waits, only=only[rule.id]))
        work.write(self._writing)
        if work.moved:  # what fires on without a word is looked at by the next whole pass
            self._notifying.notify(work.fires, now)
        return self._end(known, now)

    def _settled(self, only: Mapping[str, Container[Group] | None], work: Pass, rates: Rates) -> set[str]:
        """The rules of which nothing changes."""
        touched = [(rule, work.known.rows[rule.id], groups) for rule in self.rules
                   if isinstance(rule, Ratio) and isinstance(groups := only[rule.id], set)]
        return RatioNews(rates, work.evidence, work.evidence.now).settled(touched)

    def _begin(self) -> Known | None:
        """What was known at the end of the last pass; until this one has ended nothing is."""
        known, self._known, self._stamp = self._known, None, None
        self._moves.traffic.forget()
        return known

    def _end(self, known: Known, now: datetime) -> timedelta:
        known.stamp = self._stamp or known.stamp
        self._known = known
        return self._wait(known, now)

    def _read_known(self) -> Known:
        with self.store.reading_session() as session:
            return verdict_rows.read_known(session, self.rules, self._grouping)

    def _grouping(self, rule: Rule) -> Groups | None:
        return self.counters.grouping(rule.by) if isinstance(rule, Ratio) else None

    def _waits(self, rule: Rule, work: Pass) -> bool:
        """Whether another rule fires that it waits for: then it is asked about all."""
        return rule.unless is not None and bool(work.firing.get(rule.unless.rule))

    def _evidence(
        self, now: datetime, known: Known, only: Mapping[str, Container[Group] | None] | None = None, touched: Touched | None = None
    ) -> StoreEvidence:
        counters = self.counters if touched is None else Near(self.counters, touched)

        def expected(rule: str) -> list[Group]:
            groups = known.rows[rule].expected(now)
            within = only[rule] if only is not None else None
            return groups if within is None else [group for group in groups if group in within]

        return StoreEvidence(
            self.store, now, self.intervals, self.feeds, expected, self.lists, self.watched_lists,
            mails=self.mails, opened=lambda rule: known.rows[rule].in_states(OPEN), counters=counters,
        )

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        """A transaction that writes, if nobody else judges by now; the first of a pass says that it is this one that writes."""
        with self.store.session() as session:
            self.check(session)
            stamp = self._stamp
            if stamp is None:
                stamp = new_id("pass")
                verdict_rows.write_stamp(session, stamp)
            yield session
        self._stamp = stamp

    def _judge(self, rule: Rule, work: Pass, rates: Rates, extent: Extent) -> None:
        """Judge one rule, or only some of its groups, and note what they are in."""
        now, rows, last, only = work.evidence.now, work.known.rows[rule.id], work.known.rules.get(rule.id), extent.only
        verdicts, gone, error = _verdicts(rule, work, rates, extent)
        if only is not None:
            verdicts = [verdict for verdict in verdicts if verdict.group in only]
        elif error is None:
            verdicts += self._gone(rule, rows, verdicts, now)
        timing = Timing(rule.for_, rule.keep_firing_for, longest_gap(last.gaps if last else ()))
        fires = [group for group in work.firing.get(rule.id, ()) if group not in only] if only is not None else []
        verdicts = unevaluated(rule, verdicts, work.firing)
        before = [rows.row(verdict.group) for verdict in verdicts]
        judged = {verdict.group for verdict in verdicts}
        for verdict, was, row in zip(verdicts, before, self._applied(rule, verdicts, before, work, timing), strict=True):
            if row.state == State.FIRING and rule.mode is Mode.LIVE:
                work.fires.append((rule, verdict))
            if row.state in _FIRES:
                fires.append(verdict.group)
            if verdict_rows.differs(was, row):
                work.note(verdict.group, row, gone=row.summary == rule.GONE and row.state not in OPEN)
        work.firing[rule.id], work.errors[rule.id] = fires, error
        if only is None:
            for group in {*gone, *rows.whole} - judged:
                work.forget(rule.id, group)
        work.write_some(self._writing)

    def _applied(
        self, rule: Rule, verdicts: Sequence[Verdict], was: Sequence[VerdictRow | None], work: Pass, timing: Timing
    ) -> list[VerdictRow]:
        """The rows of the groups from now on, with all that follows for their incidents written: some at a time."""
        now = work.evidence.now
        after = [step(progress_of(row), input_of(verdict), now, timing) for row, verdict in zip(was, verdicts, strict=True)]
        rows = [row_of(rule, *each, now) for each in zip(verdicts, after, was, strict=True)]
        if rule.mode is Mode.SHADOW:
            self._in_shadow(rule, verdicts, rows, now)
            return rows
        moving = [place for place, row in enumerate(was) if {progress_of(row).state, after[place].state} & OPEN]
        moving = self._unsettled(rule, [(place, verdicts[place], after[place]) for place in moving], now)
        work.moved = work.moved or bool(moving)
        for begin in range(0, len(moving), WRITTEN_AT_ONCE):
            with self._writing() as session:
                held = of_open_incidents(session, rule.id)
                for place in moving[begin : begin + WRITTEN_AT_ONCE]:
                    verdict = verdicts[place]
                    incident = open_of(session, rule.id, rows[place].key, lock=True) or new_incident(rule, verdict, now)
                    case = Case(session, rule, incident, verdict, now, held.get(incident.id, []))
                    end = self._moves.move(case, after[place])
                    if end.state is State.OK:  # what is not open says why: no data, or well
                        end = step(end, input_of(verdict), now, timing)
                    rows[place] = row_of(rule, verdict, end, was[place], now)
                verdict_rows.write(session, [rows[place] for place in moving[begin : begin + WRITTEN_AT_ONCE]])
        return rows

    def _in_shadow(self, rule: Rule, verdicts: Sequence[Verdict], rows: Sequence[VerdictRow], now: datetime) -> None:
        """Write down what a rule in shadow would hold by now, and would no longer."""
        if rule.effect is None:
            return
        with self.store.reading_session() as session:
            known = shadow.groups_with_open(session, rule.id)
        concerned = [place for place, row in enumerate(rows) if row.state == State.FIRING or row.key in known]
        for begin in range(0, len(concerned), WRITTEN_AT_ONCE):
            with self._writing() as session:
                for place in concerned[begin : begin + WRITTEN_AT_ONCE]:
                    wanted = suspend.would_suspend(rule, verdicts[place], now) if rows[place].state == State.FIRING else []
                    shadow.compare(session, rule.id, rows[place].key, wanted, "the rule is in shadow", now)

    def _unsettled(self, rule: Rule, moving: Sequence[tuple[int, Verdict, Progress]], now: datetime) -> list[int]:
        """The places of those whose incident wants something written."""
        if not moving:
            return []
        with self.store.reading_session() as session:
            known = {incident.open_key: incident for incident in open_incidents(session, rule.id)}
            rows = of_open_incidents(session, rule.id)
            return [
                place for place, verdict, after in moving
                if (incident := known.get(key_of(verdict.group))) is None
                or not settled(Case(session, rule, incident, verdict, now, rows.get(incident.id, [])), after)
            ]  # fmt: skip

    def _gone(self, rule: Rule, rows: RuleRows, verdicts: Sequence[Verdict], now: datetime) -> list[Verdict]:
        """Clear is what is open and the condition has no more; what nobody asks about any more ends at once."""
        known = {verdict.group for verdict in verdicts}
        groups = [group for group in rows.in_states(OPEN) if group not in known]
        return [Verdict(group, Answer.CLEAR, rule.GONE) for group in groups if not self._ended_unasked(rule, group, now)]

    def _end_orphans(self, known: Known, now: datetime) -> None:
        """End what a rule opened that is configured no more, or only in shadow: nobody would ever end it else."""
        live = {rule.id for rule in self.rules if rule.mode is Mode.LIVE}
        with self.store.reading_session() as session:
            orphans = [row.id for row in open_incidents(session) if row.rule not in live and row.member_count is None]
        for incident_id in orphans:
            with self._writing() as session:
                incident = incident_named(session, incident_id)
                if incident is not None and incident.ended_at is None:
                    self._end_at_once(session, incident, f"rule {incident.rule} is no longer configured", now)
        configured = {rule.id for rule in self.rules}
        if (known.rows.keys() | known.rules.keys()) - configured:
            with self._writing() as session:
                verdict_rows.forget_rules(session, configured)
            known.keep(configured)

    def _ended_unasked(self, rule: Rule, group: Group, now: datetime) -> bool:
        """Whether nobody asks about the group any more; then its incident has ended."""
        with self.store.reading_session() as session:
            why = why_unasked(session, group, Configured(self.intervals, self.watched_lists))
        if why is None:
            return False
        with self._writing() as session:
            incident = open_of(session, rule.id, key_of(group), lock=True)
            if incident is not None:
                self._end_at_once(session, incident, why, now)
        return True

    def _end_at_once(self, session: Session, incident: Incident, why: str, now: datetime) -> None:
        gone = Verdict(tuple(incident.subject.items()), Answer.CLEAR, why)
        moved(session, incident, (incident.state, State.OK.value), why=why, actor="configuration", now=now)
        incident.state = State.OK.value
        self._moves.end(Case(session, None, incident, gone, now), why)

    def _wait(self, known: Known, now: datetime) -> timedelta:
        """Until the next timer or suspension runs out, at most a minute."""
        timers = {rule.id: {State.PENDING: rule.for_, State.RECOVERING: rule.keep_firing_for} for rule in self.rules}
        waits = [LONGEST_WAIT]
        with self.store.reading_session() as session:
            waits += [row.until - now for row in in_force(session, now) if row.until is not None]
        for rule, rows in known.rows.items():
            for row in rows.whole.values():
                needed = timers.get(rule, {}).get(State(row.state))
                if needed is not None and row.counted_until is not None:
                    waits.append(needed - timedelta(seconds=row.elapsed_seconds))
        return max(min(waits), SHORTEST_WAIT)


def _verdicts(rule: Rule, work: Pass, rates: Rates, extent: Extent) -> tuple[list[Verdict], list[Group], str | None]:
    """What the rule says of each group that is looked at, those that are no more, and why it says nothing where it cannot be judged:
    then all stays as it is.
    """
    rows, evidence = work.known.rows[rule.id], work.evidence
    try:
        if isinstance(rule, Ratio):
            answers = RatioPass(rule, rates, rows, evidence, evidence.now).judge(extent)
            if answers is not None:
                return *answers, None
        verdicts = judge(rule, evidence, evidence.now)
    except _FAULTS as fault:
        log.exception("rule %s cannot be judged", rule.id)
        error = f"{type(fault).__name__}: {fault}"
        return [unknown(group, Reason.INTERNAL, f"the rule cannot be judged: {error}") for group in rows.groups()], [], error
    judged = {verdict.group for verdict in verdicts}
    return verdicts, [group for group in rows.groups() if group not in judged], None
