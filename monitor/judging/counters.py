"""The counts of windows, kept in memory: what `Store.window_counts` would sum, without asking the database for it.

A cell is one series. Two tables have a row per hour and a column per cell: what was counted before the hour, and in how many hours
before it anything was. A window is the difference of two rows, and of the two hours it cuts the readings themselves; groups are
sums over cells. 10 bytes an hour and cell: 28 days of 43,200 series are 290 MB, 7 days 73 MB.

The database stays the truth: counters are built from its roll-ups and follow its log of counts (monitor.facts.count_log) up to
what a snapshot shows. They are built anew where that log is kept no more, where series were forgotten, and where readings were
pruned. What they cannot answer exactly they leave to the database (None): windows that begin before them, or cut an hour whose
readings may be gone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from collectors.observation import Subject
from monitor.database.tables import to_micros
from monitor.facts import Store
from monitor.facts.count_log import added_since
from monitor.judging.count_rows import (
    MICROS,
    Floats,
    Ints,
    Rows,
    Standing,
    others_since,
    read_due,
    read_hours,
    read_readings,
    read_series,
    standing,
)
from monitor.judging.groups import Groups
from monitor.rules.evidence import Counts, Span, Values
from monitor.rules.model import Chosen

MOST_BYTES = 1_500_000_000  # then fewer hours are kept, and longer windows are asked of the database
_FINE_HOURS = 26  # whose readings are kept besides
_MOST_LOOKED_UP = 64  # hours further back whose readings were asked for
_SPARE_HOURS = 12
_SPARE_CELLS = 1.25
_BYTES = 10  # of a cell and hour

Fine = tuple[Ints, Ints, Floats]  # of one hour: cells, microseconds, values
Touched = Mapping[str, Collection[Values]]  # measure → subjects, as their fields stand
Summed = tuple[Floats, NDArray[np.bool_]]  # by cell: the sum in a window, and whether anything was counted
Totals = Summed  # by group


class Counters:
    """Counts of these measures over windows of up to `longest`. For one thread at a time."""

    def __init__(self, store: Store, measures: Collection[str], longest: timedelta) -> None:
        self._store, self._measures = store, frozenset(measures)
        self._hours_wanted = int(longest / timedelta(hours=1)) + 2
        self._at: Standing | None = None
        self.others_came = True  # beside counts, between the last two looks
        self._groupings: dict[tuple[str, ...], Groups] = {}

    @property
    def size(self) -> int:
        """Bytes of the two tables."""
        return int(self._sums.nbytes + self._heard.nbytes) if self._at else 0

    def follow(self, now: datetime) -> Touched | None:
        """Take in what was committed since, and say what it was about; None where all was built anew."""
        with self._store.reading() as connection:
            at = standing(connection)
            self.others_came = self._at is None or others_since(connection, self._at.batch)
            self._summed: dict[Span, Summed] = {}
            self._nearby: dict[tuple[str, tuple[str, ...], frozenset[Values]], Ints] = {}
            added = None
            if self._at is not None and (self._at.generation, self._at.gone) == (at.generation, at.gone):
                added = added_since(connection, self._at.batch) if at.batch > self._at.batch else []
            if added is None:
                self._build(connection, at, now)
                return None
            self._at = at
            rows = [Rows(*_columns(each)) for each in added]
            if any(each.series.size and int(each.series.max()) > self._newest_series for each in rows):
                self._widen(connection)
            if not all(map(self._add, rows)):
                self._build(connection, at, now)
                return None
            self._forget_old(to_micros(now) // MICROS)
            return self._about(rows)

    def _about(self, added: Sequence[Rows]) -> Touched:
        touched: dict[str, set[Values]] = {}
        series = np.unique(np.concatenate([rows.series for rows in added])) if added else np.zeros(0, np.int64)
        places = np.searchsorted(self._known, series)
        for id_, place in zip(series.tolist(), places.tolist(), strict=True):
            if place < self._cells and self._ids[place] == id_:
                touched.setdefault(self._measure_of[place], set()).add(self._subjects[place])
        return touched

    # ── questions ──

    def counts(
        self, measures: Collection[str], by: Sequence[str], span: Span, where: Mapping[str, str] | None = None,
        near: Collection[Values] | None = None,
    ) -> Counts | None:
        """See Evidence.counts; None: to be asked of the database.

        `near`: only the groups that one of these subjects may be part of, by what both know; whole are those of the subjects.
        """
        if self._at is None or not set(measures) <= self._measures:
            return None
        summed = self._window(span)
        if summed is None:
            return None
        sums, heard = summed
        groups, values = self._groups(tuple(by))
        counts: dict[Values, dict[str, float]] = {}
        for measure in measures:
            cells = self._of_measure(measure) if near is None else self._near(measure, tuple(by), near)
            cells = cells[heard[cells]]
            if where:
                cells = cells[self._chosen(where)[cells]]
            numbers, places = np.unique(groups[cells], return_inverse=True)
            totals = np.bincount(places, sums[cells], len(numbers))
            for group, total in zip(numbers.tolist(), totals.tolist(), strict=True):
                counts.setdefault(values[group], {})[measure] = total
        return counts

    def sums(self, measures: Collection[str], by: Sequence[str], span: Span) -> Counts:
        """The same, asked of the database where it has to be."""
        counted = self.counts(measures, by, span)
        return self._store.window_counts(measures, by, *span) if counted is None else counted

    def _near(self, measure: str, by: tuple[str, ...], subjects: Collection[Values]) -> Ints:
        """The cells of a measure that contradict not all of these subjects, in these dimensions."""
        key = measure, by, frozenset(tuple(subject[Subject._fields.index(name)] for name in by) for subject in subjects)
        if key not in self._nearby:
            cells = self._of_measure(measure)
            chosen = np.zeros(len(cells), bool)
            for wanted in key[2]:
                agrees = np.ones(len(cells), bool)
                for name, value in zip(by, wanted, strict=True):
                    if value is not None:
                        groups, values = self._groups((name,))
                        agrees &= np.array([each[0] in {value, None} for each in values], bool)[groups[cells]]
                chosen |= agrees
            self._nearby[key] = cells[chosen]
        return self._nearby[key]

    def _window(self, span: Span) -> Summed | None:
        """The sums of a window by cell."""
        if span not in self._summed:
            summed = self._sum(to_micros(span[0]), to_micros(span[1]))
            if summed is None:
                return None
            self._summed[span] = summed
        return self._summed[span]

    def _sum(self, since: int, until: int) -> Summed | None:
        assert self._at is not None
        first, last = -(-since // MICROS), until // MICROS
        cut = [hour for hour, at in ((since // MICROS, since), (last, until)) if at % MICROS]
        if since // MICROS < self._base or since >= until or any(hour < self._at.gone for hour in cut):
            return None
        sums, heard = np.zeros(self._cells), np.zeros(self._cells, np.int64)
        if first < last:
            sums += self._row(self._sums, last) - self._row(self._sums, first)
            heard += (self._row(self._heard, last) != self._row(self._heard, first)).astype(np.int64)
        for hour in dict.fromkeys(cut):
            cells, at, values = self._readings(hour)
            inside = (at >= since) & (at < until)
            sums += np.bincount(cells[inside], values[inside], self._cells)
            heard += np.bincount(cells[inside], minlength=self._cells)
        return sums, heard > 0

    def _row(self, table: NDArray[Any], hour: int) -> NDArray[Any]:
        """What was counted before an hour."""
        return table[min(hour - self._base, len(table) - 1), : self._cells]

    def totals(
        self, measures: Collection[str], by: tuple[str, ...], span: Span, beside: Sequence[tuple[str, Chosen]] = ()
    ) -> Totals | None:
        """As `counts`, by the number of the group (`grouping`), of all these measures together; None: ask the database.

        `beside`: only what takes these dimensions.
        """
        if self._at is None or not set(measures) <= self._measures:
            return None
        summed = self._window(span)
        if summed is None:
            return None
        groups, grouping = self._placed(by), self.grouping(by)
        total, known = np.zeros(len(grouping)), np.zeros(len(grouping), np.bool_)
        for measure in measures:
            cells = self._of_measure(measure)
            cells = cells[summed[1][cells]]
            for name, chosen in beside:
                cells = cells[self._taken(name, chosen)[cells]]
            places = groups[cells]
            total += np.bincount(places, summed[0][cells], len(total))
            known[places] = True
        return total, known

    def total(
        self, measures: Collection[str], by: tuple[str, ...], span: Span, number: int, beside: Sequence[tuple[str, Chosen]] = ()
    ) -> float | None:
        """The sum of one group."""
        if self._at is None or not set(measures) <= self._measures or (summed := self._window(span)) is None:
            return None
        total = 0.0
        for measure in measures:
            cells = self._cells_of(measure, by, number)
            for name, chosen in beside:
                cells = cells[self._taken(name, chosen)[cells]]
            total += float(summed[0][cells].sum())
        return total

    def _cells_of(self, measure: str, by: tuple[str, ...], number: int) -> Ints:
        """The cells of a measure that are of one group."""
        if (measure, by) not in self._by_group:
            cells = self._of_measure(measure)
            groups = self._placed(by)[cells]
            order = np.argsort(groups, kind="stable")
            begins = np.searchsorted(groups[order], np.arange(len(self.grouping(by)) + 1))
            self._by_group[measure, by] = cells[order], begins
        cells, begins = self._by_group[measure, by]
        return cells[begins[number] : begins[number + 1]] if number + 1 < len(begins) else cells[:0]

    def grouping(self, by: tuple[str, ...]) -> Groups:
        """The groups of these dimensions; their numbers stay, whatever happens to the cells."""
        return self._groupings.setdefault(by, Groups(by))

    def _placed(self, by: tuple[str, ...]) -> Ints:
        """The number of the group of each cell."""
        if by not in self._grouped:
            grouping = self.grouping(by)
            places = [Subject._fields.index(name) for name in by]
            numbers = [grouping.number(tuple(subject[place] for place in places)) for subject in self._subjects]
            self._grouped[by] = np.array(numbers, np.int64)
        return self._grouped[by]

    def _groups(self, by: tuple[str, ...]) -> tuple[Ints, list[Values]]:
        """The group of each cell, and the values of each group."""
        return self._placed(by), self._groupings[by].values

    def _taken(self, name: str, chosen: Chosen) -> NDArray[np.bool_]:
        """The cells whose value of a dimension is chosen."""
        groups, values = self._groups((name,))
        return np.array([chosen.takes(each[0]) for each in values], bool)[groups] if values else np.zeros(0, bool)

    def _of_measure(self, measure: str) -> Ints:
        """The cells of a measure."""
        if measure not in self._by_measure:
            self._by_measure[measure] = np.array([place for place, each in enumerate(self._measure_of) if each == measure], np.int64)
        return self._by_measure[measure]

    def _chosen(self, where: Mapping[str, str]) -> NDArray[np.bool_]:
        """The cells that have these values, or do not know them."""
        chosen = np.ones(self._cells, bool)
        for name, value in where.items():
            groups, values = self._groups((name,))
            chosen &= np.array([each[0] in {value, None} for each in values], bool)[groups] if values else False
        return chosen

    # ── how they come to be ──

    def _build(self, connection: Connection, at: Standing, now: datetime) -> None:
        """From what is rolled up, with the hours that are out of date put right."""
        self._ids, self._measure_of, self._subjects = read_series(connection, self._measures, 0)
        self._cells, self._known = len(self._ids), np.array(self._ids, np.int64)
        self._forget_groups()
        hour = to_micros(now) // MICROS
        ahead = max(at.newest - hour, 0) + _SPARE_HOURS
        width = int(self._cells * _SPARE_CELLS) + 64
        hours = min(self._hours_wanted, MOST_BYTES // (_BYTES * width) - ahead)
        if hours < _FINE_HOURS:  # too many series, or facts of a clock far ahead of this one
            self._at = None
            return
        self._at, self._base = at, hour - hours
        self._sums = np.zeros((hours + ahead, width))
        self._heard = np.zeros((hours + ahead, width), np.uint16)
        for rows in (read_hours(connection, self._measures, self._base), read_due(connection, self._measures, max(self._base, at.gone))):
            places = (rows.at - self._base + 1, np.searchsorted(self._known, rows.series))
            self._sums[places], self._heard[places] = rows.values, 1
        for row in range(1, len(self._sums)):
            self._sums[row] += self._sums[row - 1]
            self._heard[row] += self._heard[row - 1]
        self._looked_up: dict[int, Fine] = {}
        self._fine_from, self._fine = max(hour - _FINE_HOURS, self._base), dict[int, list[Fine]]()
        recent = read_readings(connection, self._measures, (self._fine_from, at.newest + 1), at.batch)
        self._keep_fine(np.searchsorted(self._known, recent.series), recent.at, recent.values)

    def _add(self, rows: Rows) -> bool:
        """What one batch added; False where it is about a time far from all that is kept."""
        assert self._at is not None
        hours = rows.at // MICROS
        cells = np.searchsorted(self._known, rows.series)
        ours = (hours >= self._base) & (hours >= self._at.gone) & (cells < self._cells)
        ours[ours] &= self._known[cells[ours]] == rows.series[ours]  # others are of measures no rule asks for
        cells, hours, at, values = cells[ours], hours[ours], rows.at[ours], rows.values[ours]
        if hours.size and not self._reach(int(hours.max()) + 1):
            return False
        for hour in np.unique(hours).tolist():
            of_hour = hours == hour
            touched, places = np.unique(cells[of_hour], return_inverse=True)
            row = hour - self._base
            first = self._heard[row + 1, touched] == self._heard[row, touched]
            self._sums[row + 1 :, touched] += np.bincount(places, values[of_hour])
            self._heard[row + 1 :, touched] += first.astype(np.uint16)
        self._keep_fine(cells, at, values)
        return True

    def _reach(self, hour: int) -> bool:
        """Have a row for this hour: the oldest make room."""
        rows = len(self._sums)
        if hour - self._base < rows:
            return True
        drop = hour - self._base - rows + _SPARE_HOURS
        if drop > rows // 2:
            return False
        for table in (self._sums, self._heard):
            table[:-drop] = table[drop:].copy()
            table[-drop:] = table[-drop - 1]
        self._base += drop
        return True

    def _widen(self, connection: Connection) -> None:
        """Take in series that are new."""
        ids, measures, subjects = read_series(connection, self._measures, self._newest_series)
        self._ids += ids
        self._measure_of += measures
        self._subjects += subjects
        self._cells, self._known = len(self._ids), np.array(self._ids, np.int64)
        more = self._cells - self._sums.shape[1]
        if more > 0:
            more += int(self._cells * (_SPARE_CELLS - 1))
            self._sums = np.pad(self._sums, ((0, 0), (0, more)))
            self._heard = np.pad(self._heard, ((0, 0), (0, more)))
        self._forget_groups()

    @property
    def _newest_series(self) -> int:
        return self._ids[-1] if self._ids else 0

    def _forget_groups(self) -> None:
        self._grouped: dict[tuple[str, ...], Ints] = {}
        self._by_measure: dict[str, Ints] = {}
        self._by_group: dict[tuple[str, tuple[str, ...]], tuple[Ints, Ints]] = {}

    # ── the readings of hours that windows cut ──

    def _forget_old(self, hour: int) -> None:
        self._fine_from = max(self._fine_from, hour - _FINE_HOURS)
        for old in [each for each in self._fine if each < self._fine_from]:
            del self._fine[old]

    def _keep_fine(self, cells: Ints, at: Ints, values: Floats) -> None:
        hours = at // MICROS
        for hour in np.unique(hours).tolist():
            of_hour = hours == hour
            fine = cells[of_hour], at[of_hour], values[of_hour]
            if hour >= self._fine_from:
                self._fine.setdefault(hour, []).append(fine)
            elif hour in self._looked_up:
                self._looked_up[hour] = _joined([self._looked_up[hour], fine])

    def _readings(self, hour: int) -> Fine:
        if hour >= self._fine_from:
            parts = self._fine.get(hour, [])
            if len(parts) != 1:
                self._fine[hour] = parts = [_joined(parts)]
            return parts[0]
        if hour not in self._looked_up:
            assert self._at is not None
            while len(self._looked_up) >= _MOST_LOOKED_UP:
                del self._looked_up[next(iter(self._looked_up))]
            with self._store.reading() as connection:
                rows = read_readings(connection, self._measures, (hour, hour + 1), self._at.batch)
            self._looked_up[hour] = np.searchsorted(self._known, rows.series), rows.at, rows.values
        return self._looked_up[hour]


def _joined(parts: Sequence[Fine]) -> Fine:
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    cells, at, values = zip(*parts, strict=True)
    return np.concatenate(cells), np.concatenate(at), np.concatenate(values)


def _columns(added: tuple[bytes, bytes, bytes]) -> tuple[Ints, Ints, Floats]:
    series, at, values = added
    return np.frombuffer(series, np.int64), np.frombuffer(at, np.int64), np.frombuffer(values, np.float64)
