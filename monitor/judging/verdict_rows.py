"""Verdicts as rows: what each rule says of each group, read by whoever shows it, written by the judge alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Text, bindparam, cast, delete, func
from sqlalchemy import select as core_select
from sqlmodel import Session, SQLModel, case, col, select

from monitor.config.severity import Severity
from monitor.config.validation import did_you_mean
from monitor.database.engine import insert_into, table
from monitor.database.own_settings import read_setting, write_setting
from monitor.database.paging import Order, Page, Paged, paged
from monitor.database.tables import JudgedRule, VerdictRow
from monitor.incidents.states import OPEN, Input, Progress, State, input_of
from monitor.judging.evidence import StoreEvidence
from monitor.judging.groups import Groups
from monitor.judging.ratio_pass import WORDS_EVERY
from monitor.judging.rule_rows import RuleRows, Stored, severity_of
from monitor.judging.wire import RuleStatus
from monitor.rules.conditions.table import numbers_of
from monitor.rules.model import Rule
from monitor.rules.verdict import Answer, Group, Verdict, key_of

FEEDBACK_LOOPS = "feedback_reports"  # the signal of the loops' reports
_GAPS_KEPT = 5
_HEARD_EVERY = timedelta(hours=1)  # how often it is written that something was known of a group
_BY_KEY = Order((col(VerdictRow.rule), col(VerdictRow.key)), descending=False)
_AT_ONCE = 20_000  # rows in one transaction: others write between
_STAMP = "judged_by"  # the setting that says who wrote verdicts last
_READ = 50_000


@dataclass(slots=True)
class Known:
    """What is stored of every rule: its rows, the gaps between its last judgements, and the mark of who wrote last."""

    rows: dict[str, RuleRows] = field(default_factory=dict)
    rules: dict[str, JudgedRule] = field(default_factory=dict)
    stamp: str | None = None

    def keep(self, rules: Collection[str]) -> None:
        """And no others."""
        self.rows = {rule: rows for rule, rows in self.rows.items() if rule in rules}
        self.rules = {rule: row for rule, row in self.rules.items() if rule in rules}

    def in_states(self, states: Collection[State]) -> dict[str, list[Group]]:
        """Rule → its groups that are in one of these states."""
        return {rule: rows.in_states(states) for rule, rows in self.rows.items()}


@dataclass(slots=True)
class Pass:
    """What a pass is judged by, and what it found: written at its end. `firing`: rule → the groups it fires for.

    `fires`: what was judged and fires, live rules only; `moved`: something was written about an incident.
    """

    evidence: StoreEvidence
    known: Known
    firing: dict[str, list[Group]] = field(default_factory=dict)
    errors: dict[str, str | None] = field(default_factory=dict)
    rows: list[VerdictRow] = field(default_factory=list)
    gone: list[tuple[str, str]] = field(default_factory=list)
    fires: list[tuple[Rule, Verdict]] = field(default_factory=list)
    moved: bool = False

    @property
    def changed(self) -> bool:
        return bool(self.rows or self.gone)

    def note(self, group: Group, row: VerdictRow, *, gone: bool) -> None:
        """What a group is in from now on; `gone`: it is forgotten besides."""
        if gone:
            self.forget(row.rule, group)
        else:
            self.rows.append(row)
            self.known.rows[row.rule].put(group, row)

    def forget(self, rule: str, group: Group) -> None:
        self.known.rows[rule].forget(group)
        self.gone.append((rule, key_of(group)))

    def write_some(self, writing: Callable[[], AbstractContextManager[Session]]) -> None:
        """Where they are very many: what is missing when a pass dies is written by the next."""
        while len(self.rows) >= _AT_ONCE:
            with writing() as session:
                write(session, self.rows[:_AT_ONCE])
            del self.rows[:_AT_ONCE]

    def write(self, writing: Callable[[], AbstractContextManager[Session]], judged: Sequence[Rule] = ()) -> None:
        """`judged`: the rules of which all was judged."""
        if not self.changed and not judged:
            return
        with writing() as session:
            write(session, self.rows)
            forget(session, self.gone)
            for rule in judged:
                self.known.rules[rule.id] = _judged(self.known.rules.get(rule.id), rule, self.evidence.now, self.errors[rule.id])
            _put(session, JudgedRule, [self.known.rules[rule.id] for rule in judged])


def read_stamp(session: Session) -> str | None:
    """Who wrote verdicts last: one pass of one judge."""
    return read_setting(session, _STAMP)


def write_stamp(session: Session, stamp: str) -> None:
    """In the first transaction of every pass that writes: whoever kept verdicts in memory reads them anew then."""
    write_setting(session, _STAMP, stamp)


def answer_of(session: Session, rule: str, key: str) -> Answer | None:
    """What a rule says of a group, as it is stored; None where it says nothing."""
    row = session.get(VerdictRow, (rule, key))
    return Answer(row.answer) if row is not None else None


def read_known(session: Session, rules: Iterable[Rule], grouping: Callable[[Rule], Groups | None]) -> Known:
    """All that is stored. `grouping`: how the groups of a rule are numbered that is judged in columns."""
    known = Known(stamp=read_stamp(session))
    known.rules = {row.rule: row for row in session.exec(select(JudgedRule))}
    known.rows = {rule.id: RuleRows(rule, grouping(rule)) for rule in rules}
    brief = [name for name, rows in known.rows.items() if rows.brief is not None]
    whole = select(VerdictRow).where(col(VerdictRow.rule).not_in(brief) | col(VerdictRow.state).in_(OPEN))
    for row in session.exec(whole):
        known.rows.setdefault(row.rule, RuleRows(None)).put(tuple(row.subject.items()), row)
    session.expunge_all()
    _read_brief(session, known, brief)
    return known


def _read_brief(session: Session, known: Known, rules: Sequence[str]) -> None:
    """Rows of rates that are not open, as columns of numbers: there may be very many, and few different subjects."""
    columns = table(VerdictRow).c
    chosen = core_select(
        columns.rule, cast(columns.subject, Text), cast(columns.labels, Text), columns.state, columns.answer, columns.reason,
        columns.severity, columns.since, columns.heard_at, columns.judged_at,
    ).where(columns.rule.in_(rules), columns.state.not_in(OPEN))  # fmt: skip
    groups: dict[str, Group] = {}
    labels: dict[str, dict[str, str]] = {}
    for rule, subject, labelled, state, answer, reason, severity, since, heard, judged in (
        session.connection().execute(chosen.execution_options(yield_per=_READ))
    ):
        if subject not in groups:
            groups[subject] = tuple(json.loads(subject).items())
        if labelled not in labels:
            labels[labelled] = json.loads(labelled)
        stored = Stored(state, answer, reason, severity, labels[labelled], since, heard, judged)
        if not known.rows[rule].put_brief(groups[subject], stored):
            known.rows[rule].put(groups[subject], VerdictRow(
                rule=rule, key=key_of(groups[subject]), subject=dict(groups[subject]), **stored._asdict(),
            ))  # fmt: skip


def progress_of(row: VerdictRow | None) -> Progress:
    if row is None:
        return Progress()
    return Progress(State(row.state), timedelta(seconds=row.elapsed_seconds), row.counted_until)


def row_of(rule: Rule, verdict: Verdict, after: Progress, before: VerdictRow | None, now: datetime) -> VerdictRow:
    """The row as it is after this verdict."""
    same = before is not None and before.state == after.state
    heard = input_of(verdict) is not Input.NO_DATA and verdict.answer is not Answer.UNEVALUATED
    severity = verdict.severity or Severity(severity_of(rule))
    return VerdictRow(
        rule=rule.id, key=key_of(verdict.group), subject=dict(verdict.group), labels={**verdict.labels, **rule.labels},
        state=after.state.value, answer=verdict.answer.value, reason=verdict.reason, severity=severity.value,
        summary=verdict.summary, evidence=verdict.evidence.encode(), since=before.since if same and before else now,
        elapsed_seconds=after.elapsed.total_seconds(), counted_until=after.counted_until,
        heard_at=now if heard else before.heard_at if before else None, judged_at=now,
    )


def differs(before: VerdictRow | None, after: VerdictRow) -> bool:
    """Whether a row says anything new."""
    if before is None or _content(before) != _content(after):
        return True
    if before.summary != after.summary and (after.state in OPEN or after.judged_at - before.judged_at >= WORDS_EVERY):
        return True
    if after.heard_at is None or before.heard_at is None:
        return after.heard_at != before.heard_at
    return after.heard_at - before.heard_at >= _HEARD_EVERY


def _content(row: VerdictRow) -> tuple[object, ...]:
    return (
        row.state, row.answer, row.reason, row.severity, row.labels, row.elapsed_seconds, row.counted_until,
    )  # fmt: skip


def write(session: Session, rows: Sequence[VerdictRow]) -> None:
    """Put these in the place of those of the same rule and group."""
    _put(session, VerdictRow, rows)


def _put(session: Session, model: type[SQLModel], rows: Sequence[SQLModel]) -> None:
    if rows:
        connection, columns = session.connection(), table(model).columns
        insert = insert_into(connection, model)
        values = {column.name: insert.excluded[column.name] for column in columns if not column.primary_key}
        keys = [column.name for column in columns if column.primary_key]
        statement = insert.on_conflict_do_update(index_elements=keys, set_=values)
        connection.execute(statement, [{column.name: getattr(row, column.name) for column in columns} for row in rows])


def forget(session: Session, groups: Sequence[tuple[str, str]]) -> None:
    """Rule and key of groups that are no longer watched."""
    if groups:
        columns = table(VerdictRow).c
        these = delete(VerdictRow).where(columns.rule == bindparam("of_rule"), columns.key == bindparam("of_key"))
        session.connection().execute(these, [{"of_rule": rule, "of_key": key} for rule, key in groups])


def forget_rules(session: Session, configured: Collection[str]) -> None:
    """All of rules that are configured no more."""
    for model in (VerdictRow, JudgedRule):
        session.execute(delete(model).where(col(model.rule).not_in(configured)))


def _judged(before: JudgedRule | None, rule: Rule, now: datetime, error: str | None) -> JudgedRule:
    """The row of a rule that was judged now."""
    gaps = list(before.gaps) if before else []
    if before is not None and (gap := (now - before.judged_at).total_seconds()) > 0:
        gaps = [*gaps, gap][-_GAPS_KEPT:]
    return JudgedRule(
        rule=rule.id, condition=rule.condition, signal=rule.signal.name, mode=rule.mode.value, severity=str(rule.severity),
        judged_at=now, gaps=gaps, error=error,
    )  # fmt: skip


# ── for whoever shows them ──


def judged_rule(session: Session, rule: str) -> JudgedRule:
    """Raises LookupError for one that is not judged."""
    row = session.get(JudgedRule, rule)
    if row is None:
        known = session.exec(select(JudgedRule.rule)).all()
        raise LookupError(f"no rule '{rule}' was judged — {did_you_mean(rule, known)}")
    return row


def rule_statuses(session: Session, customer: str | None = None) -> list[RuleStatus]:
    """Every rule that is judged, by id, with all its groups counted or those of a customer."""
    states: dict[str, Counter[str]] = {}
    counted = select(VerdictRow.rule, VerdictRow.state, func.count()).group_by(col(VerdictRow.rule), col(VerdictRow.state))
    if customer is not None:
        counted = counted.where(_of(customer))
    for rule, state, count in session.exec(counted):
        states.setdefault(rule, Counter())[state] = count
    rules = session.exec(select(JudgedRule).order_by(col(JudgedRule.rule)))
    return [RuleStatus.of(row, states.get(row.rule, {})) for row in rules]


def recovering_since(session: Session) -> dict[tuple[str, str], datetime]:
    """Rule and key of what recovers → since when."""
    chosen = select(VerdictRow.rule, VerdictRow.key, VerdictRow.since).where(VerdictRow.state == State.RECOVERING.value)
    return {(rule, key): since for rule, key, since in session.exec(chosen)}


def errors_of_rules(session: Session) -> dict[str, str]:
    """Why rules could not be judged."""
    chosen = select(JudgedRule.rule, JudgedRule.error).where(col(JudgedRule.error).is_not(None))
    return {rule: str(error) for rule, error in session.exec(chosen)}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which verdicts."""

    rule: str | None = None
    state: State | None = None
    customer: str | None = None


def find_verdicts(session: Session, wanted: Wanted, page: Page) -> Paged[VerdictRow]:
    """By rule and group. Raises PlaceError."""
    chosen = select(VerdictRow)
    if wanted.rule is not None:
        chosen = chosen.where(VerdictRow.rule == wanted.rule)
    if wanted.state is not None:
        chosen = chosen.where(VerdictRow.state == wanted.state.value)
    if wanted.customer is not None:
        chosen = chosen.where(_of(wanted.customer))
    return paged(session, chosen, _BY_KEY, page)


def worst_verdicts(session: Session, rule: str, limit: int) -> list[VerdictRow]:
    """What a rule says of each group: what fires first, what is well last, then by group."""
    order = {state.value: rank for rank, state in enumerate((State.FIRING, State.RECOVERING, State.PENDING, State.ERROR))}
    rank = case({**order, State.OK.value: 9}, value=col(VerdictRow.state), else_=5)
    chosen = select(VerdictRow).where(VerdictRow.rule == rule).order_by(rank, col(VerdictRow.key)).limit(limit)
    return list(session.exec(chosen))


def _of(customer: str) -> ColumnElement[bool]:
    named: ColumnElement[bool] = col(VerdictRow.subject)["customer"].as_string() == customer
    return named


def firing_about(session: Session, signals: Collection[str]) -> Sequence[VerdictRow]:
    """What rules about these signals fire for now, as it was last judged."""
    rules = select(JudgedRule.rule).where(col(JudgedRule.signal).in_(signals))
    firing = VerdictRow.state == State.FIRING.value
    return session.exec(select(VerdictRow).where(firing, col(VerdictRow.rule).in_(rules))).all()


def verdicts_about(session: Session, signal: str) -> list[Verdict]:
    """What the first rule about a signal says of each group, as it was last judged."""
    rule = session.exec(select(JudgedRule.rule).where(JudgedRule.signal == signal).order_by(col(JudgedRule.rule))).first()
    rows = session.exec(select(VerdictRow).where(VerdictRow.rule == rule).order_by(col(VerdictRow.key)))
    return [
        Verdict(tuple(row.subject.items()), Answer(row.answer), row.summary, row.reason, evidence=numbers_of(row.evidence), labels=row.labels)
        for row in rows
    ]
