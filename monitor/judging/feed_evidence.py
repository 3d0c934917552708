"""What the judge of feedback loops is given: the store's counts, with our own holds left out.

Counted by customer, stream and provider: of these, what a hold stopped is left out with the reports on it, for a
held customer's complaints are not missing. A hold of an IP or a domain alone is not: other IPs take over.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlmodel import Session

from collectors.contract import Purpose
from collectors.measures import MEASURES
from monitor.database.tables import Suspension
from monitor.facts import Store
from monitor.facts.readings import daily_sums, newest_by_provider
from monitor.facts.windows import Counts as StoredCounts
from monitor.feedback_loops.enrolments import State
from monitor.feedback_loops.rows import states_by_provider
from monitor.inventory.providers import read_providers
from monitor.inventory.rows import mailboxes
from monitor.restrictions.rows import ended_at, holds_since
from monitor.rules.conditions.shortfall import Day, SilenceFact, judge_silence
from monitor.rules.model import AnyRule, FblSilenceRule
from monitor.rules.verdict import Verdict

DAY = timedelta(days=1)
_AS_SHIPPED = FblSilenceRule(id="fbl-silence", kind="fbl_silence")
_ENDED = {State.LAPSED, State.REFUSED}
_BY = ("customer", "stream", "provider")
_COUNTED = ("delivered", "report")
_MAILBOX_MAX_AGE = MEASURES["mailbox_read"].max_age
# A pass comes every few seconds. The past of a loop changes once a day, and of three days a few minutes say
# nothing new: both are counted only so often.
_COUNT_EVERY = timedelta(minutes=5)
Cell = tuple[str | None, ...]
Counts = dict[str, dict[str, float]]  # provider → measure → sum
History = dict[str, tuple[Day, ...]]
Recent = tuple[StoredCounts, dict[str, datetime]]  # of the window; provider → its last report


class FeedEvidence:
    """The feedback loops of one store, counted only so often; owned by whoever judges, any thread may use it.

    What was counted is kept per span: rules of different windows do not drive out each other's.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._histories: dict[timedelta, tuple[datetime, History]] = {}  # by length; with the day it ends before
        self._recents: dict[timedelta, tuple[datetime, Recent]] = {}  # by window; with when it was counted
        self._counting = threading.Lock()

    def verdicts(self, rules: Iterable[AnyRule], now: datetime) -> list[Verdict]:
        """What the first rule of this kind says now, or one that is as shipped where there is none."""
        rule = next((each for each in rules if isinstance(each, FblSilenceRule)), _AS_SHIPPED)
        return judge_silence(rule, self.facts(rule, now), now)

    def facts(self, rule: FblSilenceRule, now: datetime) -> list[SilenceFact]:
        """One fact per provider whose loop ever reported in the history, or is enrolled.

        A provider where every enrolment has ended is left out: its silence is known.
        """
        since = now - rule.window
        today = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        with self._counting:
            history = self._history(rule.history, today)
            in_window, last_reports = self._recent(rule.window, now)
        with self._store.reading_session() as session:
            holds = _holds(session, since)
            enrolled = states_by_provider(session)
            unread = _unread(self._store, session, now)
        counts: Counts = {}
        for cell, counted in in_window.items():
            if not any(_stops(hold, cell, (since, now)) for hold in holds):
                _add(counts, cell, counted)
        watched = history.keys() | {provider for provider, states in enrolled.items() if State.ACTIVE in states}
        return [
            SilenceFact(
                provider, since, counts.get(provider, {}).get("delivered", 0),
                counts.get(provider, {}).get("report", 0), history.get(provider, ()), last_reports.get(provider),
                unread.get(provider if provider in unread else ""),
            )
            for provider in sorted(watched)
            if not enrolled.get(provider, {State.ACTIVE}) <= _ENDED
        ]

    def _recent(self, window: timedelta, now: datetime) -> Recent:
        counted_at, recent = self._recents.get(window, (None, None))
        if recent is None or counted_at is None or not timedelta(0) < now - counted_at < _COUNT_EVERY:
            counts = self._store.window_counts(_COUNTED, _BY, now - window, now + timedelta(microseconds=1))
            with self._store.reading_session() as session:
                recent = (counts, newest_by_provider(session, "report"))
            self._recents[window] = (now, recent)
        return recent

    def _history(self, length: timedelta, until: datetime) -> History:
        ends, history = self._histories.get(length, (None, None))
        if history is None or ends != until:
            with self._store.reading_session() as session:
                history = _read_history(session, until - length, until)
            self._histories[length] = (until, history)
        return history


def _read_history(session: Session, since: datetime, until: datetime) -> History:
    days: dict[datetime, Counts] = {}
    holds = _holds(session, since)
    for start, measure, cell, total in daily_sums(session, _COUNTED, _BY, (since, until)):
        if not any(_stops(hold, cell, (start, start + DAY)) for hold in holds):
            _add(days.setdefault(start, {}), cell, {measure: total})
    history: dict[str, list[Day]] = {}
    for start in sorted(days):
        for provider, counts in days[start].items():
            if provider in history or counts.get("report", 0) > 0:
                history.setdefault(provider, []).append(Day(counts.get("delivered", 0), counts.get("report", 0)))
    return {provider: tuple(counted) for provider, counted in history.items()}


def _add(counts: Counts, cell: Cell, counted: Mapping[str, float]) -> None:
    provider = cell[-1]
    if provider is not None:
        sums = counts.setdefault(provider, {})
        for measure, value in counted.items():
            sums[measure] = sums.get(measure, 0) + value


def _holds(session: Session, since: datetime) -> Sequence[Suspension]:
    """Every hold in force at some time since then whose scope our counts are kept by."""
    return [row for row in holds_since(session, since) if set(row.scope) <= set(_BY)]


def _stops(hold: Suspension, cell: Cell, span: tuple[datetime, datetime]) -> bool:
    """Whether a hold stopped the mail of this cell at some time in the span."""
    end = ended_at(hold)
    if hold.since >= span[1] or (end is not None and end <= span[0]):
        return False
    about = dict(zip(_BY, cell, strict=True))
    return all(about[name] == value for name, value in hold.scope.items())


def _unread(store: Store, session: Session, now: datetime) -> dict[str, str | None]:
    """Provider ("" for mailboxes of many) → why its reports may lie unread; None where they are read."""
    states = {series.mailbox: latest for series, latest in store.latest("mailbox_read")}
    providers = read_providers(session)
    reasons: dict[str, str | None] = {}
    for box in mailboxes(session, Purpose.FEEDBACK_LOOP):
        state = states.get(box.name)
        why = None
        if state is None or now - state.checked_at > _MAILBOX_MAX_AGE:
            why = f"mailbox {box.name} was not read lately"
        elif state.reason is not None or not state.value:
            why = f"mailbox {box.name} cannot be read ({state.reason or state.detail.get('reason')})"
        provider = (providers.named(box.provider) or box.provider) if box.provider else ""
        reasons[provider] = reasons.get(provider) or why
    return reasons
