"""What the judge of feeds is given: the store's counts by day, with our own holds left out.

Counted by customer, stream and provider beside what the rule asks for: of these, what a hold stopped is left out with
the reports on it, for a held customer's complaints are not missing. A hold of an IP or a domain alone is not: other IPs
take over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlmodel import Session

from collectors.contract import Purpose
from collectors.details import ReadFailure
from collectors.freshness import is_stale, measure_limit
from monitor.database.tables import Suspension
from monitor.facts import Store
from monitor.facts.coverage import feeds
from monitor.facts.readings import daily_sums, newest_by
from monitor.facts.windows import Counts as StoredCounts
from monitor.feedback_loops.enrolments import State
from monitor.feedback_loops.rows import states_by_provider
from monitor.inventory.providers import read_providers
from monitor.inventory.rows import mailboxes
from monitor.restrictions.rows import ended_at, holds_since
from monitor.rules.evidence import Counts as Answers
from monitor.rules.evidence import Day, Feed, FeedQuestion
from monitor.rules.signals import Signal
from monitor.rules.verdict import Group

DAY = timedelta(days=1)
_ENDED = {State.LAPSED, State.REFUSED}
_BY = ("customer", "stream", "provider")
_LOOPS = ("provider",)  # what enrolments are known by
# A pass comes every few seconds. The past of a feed changes once a day, and of three days a few minutes say
# nothing new: both are counted only so often.
_COUNT_EVERY = timedelta(minutes=5)
Cell = tuple[str | None, ...]
Counts = dict[Group, dict[str, float]]  # feed → measure → sum
History = dict[Group, tuple[Day, ...]]
Recent = tuple[Answers | StoredCounts, dict[Group, datetime]]  # of the window; feed → its last report


class FeedEvidence:
    """The feeds of one store, counted only so often; owned by whoever judges, any thread may use it.

    What was counted is kept per question: rules of different windows do not drive out each other's. `intervals`: how
    often each configured collector runs; `fed_by`: the measures each of them brings. `counts` answers for the store.
    """

    def __init__(
        self, store: Store, intervals: Mapping[str, timedelta] | None = None,
        counts: Callable[[Collection[str], Sequence[str], tuple[datetime, datetime]], StoredCounts | Answers] | None = None,
    ) -> None:
        self._store = store
        self._counts = counts or (lambda measures, by, span: store.window_counts(measures, by, *span))
        self.fed_by = feeds(intervals or {})
        self._purposes = feeds([purpose.value for purpose in Purpose])
        self._histories: dict[object, tuple[datetime, History]] = {}  # with the day it ends before
        self._recents: dict[object, tuple[datetime, Recent]] = {}  # with when it was counted
        self._counting = threading.Lock()

    def feeds(self, question: FeedQuestion, now: datetime) -> list[Feed]:
        """One per group that ever reported in the history, and for feedback loops per provider that is enrolled.

        A provider where every enrolment has ended is left out: its silence is known.
        """
        signal, since = question.signal, now - question.window
        cells = (*_BY, *(name for name in question.by if name not in _BY))
        today = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        with self._counting:
            history = self._history(question, cells, today)
            in_window, last_at = self._recent(question, cells, now)
        is_loop = "report" in signal.numerator and question.by == _LOOPS
        with self._store.reading_session() as session:
            holds = _holds(session, since)
            enrolled: dict[Group, set[str]] = {(("provider", name),): states for name, states in states_by_provider(session).items()} if is_loop else {}
            unread = _unread(self._store, session, self._read_from(signal), now)
        counts: Counts = {}
        for cell, counted in in_window.items():
            if not any(_stops(hold, cell, (since, now)) for hold in holds):
                _add(counts, _feed_of(question.by, cells, cell), counted)
        watched = history.keys() | {group for group, states in enrolled.items() if State.ACTIVE in states}
        return [
            Feed(
                group, since, *signal.sums(counts.get(group, {})), history.get(group, ()), last_at.get(group),
                unread.get(dict(group).get("provider", ""), unread.get("")),
            )
            for group in sorted(watched)
            if not enrolled.get(group, {State.ACTIVE}) <= _ENDED
        ]

    def _read_from(self, signal: Signal) -> list[Purpose]:
        """The purposes of mailboxes that bring what a signal counts."""
        return [purpose for purpose in Purpose if self._purposes.get(purpose.value, frozenset()) & set(signal.numerator)]

    def _recent(self, question: FeedQuestion, cells: Sequence[str], now: datetime) -> Recent:
        key = (question.signal.name, question.by, question.window)
        counted_at, recent = self._recents.get(key, (None, None))
        if recent is None or counted_at is None or not timedelta(0) < now - counted_at < _COUNT_EVERY:
            measures = question.signal.measures
            counts = self._counts(measures, cells, (now - question.window, now + timedelta(microseconds=1)))
            with self._store.reading_session() as session:
                newest = newest_by(session, question.signal.numerator, question.by)
            last_at = {group: at for values, at in newest.items() if (group := _feed_of(question.by, question.by, values))}
            recent = (counts, last_at)
            self._recents[key] = (now, recent)
        return recent

    def _history(self, question: FeedQuestion, cells: Sequence[str], until: datetime) -> History:
        key = (question.signal.name, question.by, question.history)
        ends, history = self._histories.get(key, (None, None))
        if history is None or ends != until:
            with self._store.reading_session() as session:
                history = _read_history(session, question, cells, until)
            self._histories[key] = (until, history)
        return history


def _read_history(session: Session, question: FeedQuestion, cells: Sequence[str], until: datetime) -> History:
    signal, since = question.signal, until - question.history
    days: dict[datetime, Counts] = {}
    holds = _holds(session, since)
    for start, measure, cell, total in daily_sums(session, signal.measures, cells, (since, until)):
        if not any(_stops(hold, cell, (start, start + DAY)) for hold in holds):
            _add(days.setdefault(start, {}), _feed_of(question.by, cells, cell), {measure: total})
    history: dict[Group, list[Day]] = {}
    for start in sorted(days):
        for group, counts in days[start].items():
            day = Day(*signal.sums(counts))
            if group in history or day.reports > 0:
                history.setdefault(group, []).append(day)
    return {group: tuple(counted) for group, counted in history.items()}


def _feed_of(by: Sequence[str], cells: Sequence[str], cell: Cell) -> Group | None:
    """Which feed a cell is of; None where it does not say."""
    about = dict(zip(cells, cell, strict=True))
    group = tuple((name, value) for name in by if (value := about[name]) is not None)
    return group if len(group) == len(by) else None


def _add(counts: Counts, group: Group | None, counted: Mapping[str, float]) -> None:
    if group is not None:
        sums = counts.setdefault(group, {})
        for measure, value in counted.items():
            sums[measure] = sums.get(measure, 0) + value


def _holds(session: Session, since: datetime) -> Sequence[Suspension]:
    """Every hold in force at some time since then whose scope our counts are kept by."""
    return [row for row in holds_since(session, since) if set(row.scope) <= set(_BY)]


def _stops(hold: Suspension, cell: Cell, span: tuple[datetime, datetime]) -> bool:
    """Whether a hold stopped the mail of this cell, which begins with `_BY`, at some time in the span."""
    end = ended_at(hold)
    if hold.since >= span[1] or (end is not None and end <= span[0]):
        return False
    about = dict(zip(_BY, cell, strict=False))
    return all(about[name] == value for name, value in hold.scope.items())


def _unread(store: Store, session: Session, purposes: Collection[Purpose], now: datetime) -> dict[str, str | None]:
    """Provider ("" for mailboxes of many) → why its reports may lie unread; None where they are read."""
    states = {series.mailbox: latest for series, latest in store.latest("mailbox_read")}
    providers = read_providers(session)
    reasons: dict[str, str | None] = {}
    for box in (box for purpose in purposes for box in mailboxes(session, purpose)):
        state = states.get(box.name)
        why = None
        if state is None or is_stale(state.checked_at, now, measure_limit("mailbox_read")):
            why = f"mailbox {box.name} was not read lately"
        elif state.reason is not None or not state.value:
            why = f"mailbox {box.name} cannot be read ({state.reason or ReadFailure.decode(state.detail).reason})"
        provider = (providers.named(box.provider) or box.provider) if box.provider else ""
        reasons[provider] = reasons.get(provider) or why
    return reasons
