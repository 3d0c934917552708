"""What the detectors of complaints are given in the service: the counts of streams, read where complaints came.

Whoever follows what is counted says of which streams complaints came; their mail is read: what is older than four days by the hour, and
once a day but where a late complaint fell into it; the rest as it was counted. Where that is not known (a pass failed, another process judged), the sums of complaints by stream and
provider are compared, and at first all streams with any lately are read. Nothing of it is kept in the database, for everything follows
from the readings, in whatever order they came.

May be wrong where deliveries are recorded more than four days late: they count from the next day on, or from the next late complaint.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlmodel import Session

from collectors.observation import Subject
from monitor.facts import Store
from monitor.facts.stream_counts import Counted, Family, counted_by_hour, counted_since, delays, newest_batch
from monitor.inventory.rows import stream_kinds
from monitor.restrictions.rows import ended_at, of_rule_since
from monitor.rules.conditions.table import numbers_of
from monitor.rules.detectors.book import Book, Stream
from monitor.rules.detectors.counts import MailCounts
from monitor.rules.detectors.reporting import ReportingLag
from monitor.rules.evidence import Hold, StreamMail, Values
from monitor.rules.in_memory import mail_of
from monitor.rules.signals import Signal
from monitor.rules.verdict import Group

KEPT = timedelta(days=40)
_AS_COUNTED = timedelta(days=4)
_DELAYS_OF = timedelta(days=8)
_MOST_DELAYS = 20_000  # complaints by which a provider's delays are learnt, the newest
_BY = ("customer", "stream", "provider")
_PLACES = [Subject._fields.index(name) for name in _BY]
_EXPIRED = "expiry"


class MailEvidence:
    """The streams of one store, owned by whoever judges; any thread may use it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[str, _Kept] = {}  # by signal
        self._is_followed = False  # somebody says what comes
        self._lock = threading.Lock()

    def came(self, subjects: Mapping[str, Collection[Values]] | None) -> None:
        """What was counted since this was called last, by measure; None: not known."""
        with self._lock:
            self._is_followed = True
            for kept in self._kept.values():
                kept.came(subjects)

    def start_anew(self) -> None:
        """What was answered since may not have been judged."""
        with self._lock:
            self._kept.clear()

    def mail(self, signal: Signal, opened: Collection[Group], now: datetime) -> Sequence[StreamMail]:
        """See Evidence.mail; asked again at the same instant it answers for the same streams."""
        with self._lock:
            kept = self._kept.setdefault(signal.name, _Kept(self._store, signal))
            return kept.mail(opened, now, is_followed=self._is_followed)

    def holds(self, rule: str, now: datetime) -> dict[Group, list[Hold]]:
        holds: dict[Group, list[Hold]] = {}
        with self._store.reading_session() as session:
            for subject, row in of_rule_since(session, rule, now - KEPT):
                end = ended_at(row)
                until = end if end is not None and end <= now else None
                hold = Hold(row.since, until, numbers_of(row.evidence), timed_out=row.lifted_by == _EXPIRED, scope=row.scope)
                holds.setdefault(tuple(subject.items()), []).append(hold)
        return holds


class _Older(NamedTuple):
    """Up to when older mail was read, and the batch in which the newest complaint of it came."""

    boundary: datetime
    batch: int


class _Kept:
    """What is known of one signal."""

    def __init__(self, store: Store, signal: Signal) -> None:
        self._store, self._signal = store, signal
        self._book = Book()
        self._sums: dict[Stream, float] | None = None
        self._asked: tuple[datetime, list[Stream]] | None = None
        self._came: set[Stream] | None = None  # complained of since it was asked last; None: not known
        self._older: dict[Family, tuple[_Older, dict[Stream, MailCounts]]] = {}
        self._learnt: datetime | None = None
        self._lag_days: dict[str | None, datetime] = {}

    def mail(self, opened: Collection[Group], now: datetime, *, is_followed: bool) -> Sequence[StreamMail]:
        if self._asked is None or self._asked[0] != now:
            self._asked = now, self._changed(now) if self._came is None else sorted(self._came, key=str)
            self._came = set() if is_followed else None
        streams = self._asked[1]
        families = dict.fromkeys(Family(each.customer, each.provider) for each in streams)
        labels = [dict(group) for group in opened]
        families |= dict.fromkeys(Family(each.get("customer"), each.get("provider")) for each in labels)
        for family in families:
            self._read(family, now)
        self._learn(now)
        return mail_of(self._book, [stream for family in families for stream in self._book.siblings(*family)])

    def _learn(self, now: datetime) -> None:
        """Once a day: how much campaigns differ, in the streams that were read."""
        if self._learnt != (today := _midnight(now)):
            self._learnt = today
            with self._store.reading_session() as session:
                self._book.kinds = stream_kinds(session)
            self._book.learn(now.timestamp())

    def came(self, subjects: Mapping[str, Collection[Values]] | None) -> None:
        if subjects is None:
            self._came = None
        elif self._came is not None:
            counted = {subject for measure in self._signal.numerator for subject in subjects.get(measure, ())}
            self._came |= {Stream(*(subject[place] for place in _PLACES)) for subject in counted}

    def _changed(self, now: datetime) -> list[Stream]:
        """Streams whose complaints are others than when this was asked last; at first, those with any lately."""
        until = now + timedelta(microseconds=1)
        since = now - (KEPT if self._sums is not None else _DELAYS_OF)
        counts = self._store.window_counts(self._signal.numerator, _BY, since, until)
        sums = {Stream(*values): sum(each.values()) for values, each in counts.items()}
        if self._sums is None:
            changed = list(sums)
            counts = self._store.window_counts(self._signal.numerator, _BY, now - KEPT, until)
            sums = {Stream(*values): sum(each.values()) for values, each in counts.items()}
        else:
            changed = [stream for stream, total in sums.items() if self._sums.get(stream) != total]
        self._sums = sums
        return sorted(changed, key=str)

    def _read(self, family: Family, now: datetime) -> None:
        today = _midnight(now)
        boundary = today - _AS_COUNTED
        with self._store.reading_session() as session:
            self._learn_delays(session, family.provider, today, now)
            span = (today - KEPT, boundary)
            state = _Older(boundary, newest_batch(session, self._signal.numerator, family, span))
            older = self._older.get(family)
            if older is None or older[0] != state:
                older = self._older[family] = state, self._counted(counted_by_hour(session, self._signal.measures, family, span))
            counts = self._counted(counted_since(session, self._signal.measures, family, boundary))
        for stream, before in older[1].items():
            whole = counts.setdefault(stream, MailCounts())
            for hour, row in before.hours.items():
                for campaign, cell in row.items():
                    whole.add_cell(campaign, hour, cell)
        for stream, each in counts.items():
            self._book.put(stream, each)

    def _learn_delays(self, session: Session, provider: str | None, today: datetime, now: datetime) -> None:
        if self._lag_days.get(provider) == today:
            return
        self._lag_days[provider] = today
        lag = self._book.lags[provider] = ReportingLag()
        for at, known_at, value in delays(session, self._signal.numerator, provider, now - _DELAYS_OF, _MOST_DELAYS):
            lag.add(at.timestamp(), known_at.timestamp(), round(value))
        lag.learn(now.timestamp())

    def _counted(self, rows: Iterable[Counted]) -> dict[Stream, MailCounts]:
        counts: dict[Stream, MailCounts] = {}
        for row in rows:
            into = counts.setdefault(Stream(row.customer, row.stream, row.provider), MailCounts())
            if row.measure in self._signal.numerator:
                into.complain(row.campaign, row.at.timestamp(), round(row.value))
            if row.measure in self._signal.denominator:
                into.deliver(row.campaign, row.at.timestamp(), row.value)
        return counts


def _midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
