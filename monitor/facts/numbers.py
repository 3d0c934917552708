"""Observations → readings and what holds now. Counts are summed and take the fast way; the rest is compared first.

A count that could not be had is a reading without a value, for each time it was asked: the next count says nothing
of it. Within a batch two counts of one series in one bucket are added, of two states the later in the batch is kept.
A fact cannot be about the future: `at` later than `known_at` (a sender's clock ahead of ours, a forged date)
is taken as `known_at`; what is about a time nothing is kept of never comes here (monitor.facts.too_old).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from collectors.measures import MEASURES, MeasureKind
from collectors.observation import Batch
from monitor.database.bulk import Slice, stored, write_counts, write_readings
from monitor.database.tables import EPOCH
from monitor.facts import count_log
from monitor.facts.consequences import FoldAnswers, NewAnswer
from monitor.facts.daily import DAILY, write_figures
from monitor.facts.latest import load_latest, write_held
from monitor.facts.series_ids import SeriesIds, SeriesKey
from monitor.facts.states import Answer

_HOUR = timedelta(hours=1)
_FINE_FOR = timedelta(days=1)


class _Sums(dict[datetime, dict[int, float]]):
    """The sums of each instant; all instants of a bucket share those of its beginning (`by_bucket`)."""

    def __init__(self, known_at: datetime, width: timedelta) -> None:
        self._known_at, self._width = known_at, width
        self.by_bucket: dict[datetime, dict[int, float]] = {}

    def __missing__(self, at: datetime) -> dict[int, float]:
        bucket = bucket_of(bounded(at, self._known_at), self._known_at, self._width)
        self[at] = sums = self.by_bucket.setdefault(bucket, {})
        return sums


def bounded(at: datetime, known_at: datetime) -> datetime:
    return min(max(at, EPOCH), known_at)


def bucket_of(at: datetime, known_at: datetime, width: timedelta) -> datetime:
    """The instant a count is stored under: where its bucket begins; `width` 0: its own.

    So nothing is dated ahead, a window up to now has all that is known, and a window never counts what lies before it: it
    misses at most what falls between its beginning and the next bucket. What is a day old needs no finer bucket than
    an hour.
    """
    if not width:
        return at
    return at - (at - EPOCH) % (width if known_at - at < _FINE_FOR else _HOUR)


def write_numbers(
    connection: Connection, series: SeriesIds, new: list[tuple[int, Batch]], known_at: datetime,
    folds: Mapping[str, FoldAnswers], bucket: timedelta,
) -> dict[SeriesKey, int]:
    """Write the observations of new batches (id, batch) and what follows from them, by measure in `folds`.

    Counts are summed in buckets of this width (bucket_of).

    Returns the series looked up.
    """
    observations = [each for _, batch in new for each in batch.observations]
    ids, looked_up = series.find(connection, observations)
    sorted_out = _SortedOut(bucket)
    end = 0
    for batch_id, batch in new:
        start, end = end, end + len(batch.observations)
        _sort_out((batch_id, batch), ids[start:end], known_at, sorted_out)
    _write_answers(connection, sorted_out.answers, known_at, folds)
    write_figures(connection, sorted_out.figures, known_at, folds)
    write_counts(connection, sorted_out.slices, known_at)
    count_log.write(connection, sorted_out.slices)
    _write_gaps(connection, sorted_out.gaps, known_at)
    return looked_up


@dataclass(slots=True)
class _SortedOut:
    """Counts by instant; states and gauges, to be compared with what holds; figures of days; and counts that could not be had.

    `gaps`: (series id, at, batch id) → the reason.
    """

    bucket: timedelta
    slices: list[Slice] = field(default_factory=list)
    answers: list[NewAnswer] = field(default_factory=list)
    gaps: dict[tuple[int, datetime, int], str] = field(default_factory=dict)
    figures: list[NewAnswer] = field(default_factory=list)


def _sort_out(new: tuple[int, Batch], ids: list[int], known_at: datetime, into: _SortedOut) -> None:
    batch_id, batch = new
    sums = _Sums(known_at, into.bucket)
    gaps: list[tuple[int, datetime, str]] = []
    counts = {name for name, measure in MEASURES.items() if measure.kind is MeasureKind.COUNT}
    for observation, series_id in zip(batch.observations, ids, strict=True):
        value = observation.value
        if observation.measure not in counts:
            answer = Answer(bounded(observation.at, known_at), value, observation.reason, observation.detail)
            answers = into.figures if observation.measure in DAILY else into.answers
            answers.append(NewAnswer(series_id, batch_id, observation.measure, observation.subject, answer))
        elif value is None:
            at = bucket_of(bounded(observation.at, known_at), known_at, into.bucket)
            gaps.append((series_id, at, observation.reason or ""))
        else:
            values = sums[observation.at]
            values[series_id] = values.get(series_id, 0.0) + value
    into.slices += [Slice(at, batch_id, values) for at, values in sums.by_bucket.items() if values]
    # a count that was known after all in the same bucket is known
    into.gaps |= {
        (series_id, at, batch_id): reason for series_id, at, reason in gaps if series_id not in sums.by_bucket.get(at, ())
    }


def _write_gaps(connection: Connection, gaps: dict[tuple[int, datetime, int], str], known_at: datetime) -> None:
    known = stored(connection, known_at)
    write_readings(connection, [
        (series_id, stored(connection, at), batch_id, known, None, reason)
        for (series_id, at, batch_id), reason in gaps.items()
    ])  # fmt: skip


def _write_answers(
    connection: Connection, answers: list[NewAnswer], known_at: datetime, folds: Mapping[str, FoldAnswers]
) -> None:
    if not answers:
        return
    answers = list({(each.series_id, each.batch_id, each.answer.at): each for each in answers}.values())
    answers.sort(key=lambda each: (each.series_id, each.answer.at))
    before = load_latest(connection, {each.series_id for each in answers})
    changes = write_held(connection, answers, before)
    known = stored(connection, known_at)
    rows = [
        (series_id, stored(connection, at), batch_id, known, value, reason)
        for (series_id, batch_id, at), (value, reason) in changes.items()
    ]
    write_readings(connection, rows)
    known_before = {series_id for series_id, held in before.items() if held.at is not None}
    never_known = frozenset({each.series_id for each in answers} - known_before)
    for measure, fold in folds.items():
        if of_measure := [each for each in answers if each.measure == measure]:
            fold(connection, of_measure, never_known)
