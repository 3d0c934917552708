"""What the judge of silent feedback loops is asked about: the store's counts, with our own holds left out.

Counted by customer, stream and provider: of these, what a hold stopped is left out with the reports on it, for a
held customer's complaints are not missing. A hold of an IP or a domain alone is not: other IPs take over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from weakref import WeakKeyDictionary

from sqlmodel import Session, col, func, select

from collectors.measures import MEASURES
from collectors.providers import provider_named
from monitor.database.tables import Daily, FblEnrolment, Reading, ReportMailbox, Series, Suspension
from monitor.facts import Store
from monitor.facts.windows import Counts as StoredCounts
from monitor.feedback_loops.enrolments import State
from monitor.rules.conditions.shortfall import Day, SilenceFact, judge_silence
from monitor.rules.model import AnyRule, FblSilenceRule
from monitor.rules.verdict import Verdict

DAY = timedelta(days=1)
_AS_SHIPPED = FblSilenceRule(id="fbl-silence", kind="fbl_silence")
_ENDED = {State.LAPSED, State.REFUSED}
_BY = ("customer", "stream", "provider")
_COUNTED = ("delivered", "report")
_MAILBOX_MAX_AGE = MEASURES["mailbox_read"].max_age
Cell = tuple[str | None, ...]
Counts = dict[str, dict[str, float]]  # provider → measure → sum
History = dict[str, tuple[Day, ...]]
Recent = tuple[StoredCounts, dict[str, datetime]]  # of the window; provider → its last report
# A pass comes every few seconds. The past of a loop changes once a day, and of three days a few minutes tell
# nothing new: both are counted only so often.
_COUNT_EVERY = timedelta(minutes=5)
_histories: WeakKeyDictionary[Store, tuple[tuple[datetime, datetime], History]] = WeakKeyDictionary()
_recents: WeakKeyDictionary[Store, tuple[datetime, timedelta, Recent]] = WeakKeyDictionary()


def silence_verdicts(store: Store, now: datetime, rules: Iterable[AnyRule] = ()) -> list[Verdict]:
    """What the first rule of this kind says now, or one that is as shipped where there is none."""
    rule = next((each for each in rules if isinstance(each, FblSilenceRule)), _AS_SHIPPED)
    return judge_silence(rule, silence_facts(store, rule, now), now)


def silence_facts(store: Store, rule: FblSilenceRule, now: datetime) -> list[SilenceFact]:
    """One fact per provider whose loop was ever heard in the history, or is enrolled.

    A provider where every enrolment has ended is left out: its silence is known.
    """
    since = now - rule.window
    until = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    history = _history(store, until - rule.history, until)
    with store.reading_session() as session:
        holds = _holds(session, since)
        enrolled: dict[str, set[str]] = {}
        for provider, state in session.exec(select(FblEnrolment.provider, FblEnrolment.state)):
            enrolled.setdefault(provider, set()).add(state)
        unread = _unread(store, session, now)
    in_window, heard = _recent(store, rule.window, now)
    counts: Counts = {}
    for cell, counted in in_window.items():
        if not any(_stops(hold, cell, (since, now)) for hold in holds):
            _add(counts, cell, counted)
    watched = history.keys() | {provider for provider, states in enrolled.items() if State.ACTIVE in states}
    return [
        SilenceFact(
            provider, since, counts.get(provider, {}).get("delivered", 0), counts.get(provider, {}).get("report", 0),
            history.get(provider, ()), heard.get(provider), unread.get(provider if provider in unread else ""),
        )
        for provider in sorted(watched)
        if not enrolled.get(provider, {State.ACTIVE}) <= _ENDED
    ]


def _recent(store: Store, window: timedelta, now: datetime) -> Recent:
    known = _recents.get(store)
    if known is None or known[1] != window or not timedelta(0) < now - known[0] < _COUNT_EVERY:
        counts = store.window_counts(_COUNTED, _BY, now - window, now + timedelta(microseconds=1))
        with store.reading_session() as session:
            known = _recents[store] = (now, window, (counts, _last_reports(session)))
    return known[2]


def _history(store: Store, since: datetime, until: datetime) -> History:
    known = _histories.get(store)
    if known is None or known[0] != (since, until):
        known = _histories[store] = ((since, until), _read_history(store, since, until))
    return known[1]


def _read_history(store: Store, since: datetime, until: datetime) -> History:
    by = [getattr(Series, name) for name in _BY]
    query = (
        select(Daily.start, Series.measure, *by, func.sum(Daily.total))  # type: ignore[call-overload]  # six columns
        .join(Series, col(Series.id) == Daily.series_id)
        .where(col(Series.measure).in_(_COUNTED), Daily.start >= since, Daily.start < until)
        .group_by(Daily.start, Series.measure, *by)
    )
    days: dict[datetime, Counts] = {}
    with store.reading_session() as session:
        holds = _holds(session, since)
        for start, measure, *cell, total in session.exec(query):
            if total is not None and not any(_stops(hold, tuple(cell), (start, start + DAY)) for hold in holds):
                _add(days.setdefault(start, {}), tuple(cell), {measure: total})
    history: dict[str, list[Day]] = {}
    for start in sorted(days):
        for provider, counts in days[start].items():
            if provider in history or counts.get("report", 0) > 0:
                history.setdefault(provider, []).append(Day(counts.get("delivered", 0), counts.get("report", 0)))
    return {provider: tuple(found) for provider, found in history.items()}


def _add(counts: Counts, cell: Cell, counted: Mapping[str, float]) -> None:
    provider = cell[-1]
    if provider is not None:
        sums = counts.setdefault(provider, {})
        for measure, value in counted.items():
            sums[measure] = sums.get(measure, 0) + value


def _holds(session: Session, since: datetime) -> list[Suspension]:
    """Every hold in force at some time since then whose scope our counts can tell apart."""
    query = select(Suspension).where(
        Suspension.effect == "hold", col(Suspension.lifted_at).is_(None) | (col(Suspension.lifted_at) > since)
    )
    return [row for row in session.exec(query) if set(row.scope) <= set(_BY)]


def _stops(hold: Suspension, cell: Cell, span: tuple[datetime, datetime]) -> bool:
    """Whether a hold stopped the mail of this cell at some time in the span."""
    if hold.since >= span[1] or (hold.lifted_at is not None and hold.lifted_at <= span[0]):
        return False
    about = dict(zip(_BY, cell, strict=True))
    return all(about[name] == value for name, value in hold.scope.items())


def _unread(store: Store, session: Session, now: datetime) -> dict[str, str | None]:
    """Provider ("" for mailboxes of many) → why its reports may lie unread; None where they are read."""
    states = {series.mailbox: latest for series, latest in store.latest("mailbox_read")}
    found: dict[str, str | None] = {}
    for box in session.exec(select(ReportMailbox).where(ReportMailbox.purpose == "feedback_loop")):
        state = states.get(box.name)
        why = None
        if state is None or now - state.asked_at > _MAILBOX_MAX_AGE:
            why = f"mailbox {box.name} was not read lately"
        elif state.reason is not None:
            why = f"mailbox {box.name} cannot be read ({state.reason})"
        provider = (provider_named(box.provider) or box.provider) if box.provider else ""
        found[provider] = found.get(provider) or why
    return found


def _last_reports(session: Session) -> dict[str, datetime]:
    """Provider → when its newest report came: one look at the end of each series."""
    newest = select(func.max(Reading.at)).where(Reading.series_id == Series.id).scalar_subquery()
    found: dict[str, datetime] = {}
    for provider, at in session.exec(select(Series.provider, newest).where(Series.measure == "report")):
        if provider is not None and at is not None:
            found[provider] = max(at, found.get(provider, at))
    return found
