"""Observations → readings and what holds now. Counts are summed and take the fast way; the rest is compared first.

Within a batch two counts of one series at one instant are added, of two states the later told is kept.
A fact cannot be about the future: `at` later than `known_at` (a sender's clock ahead of ours, a forged date)
is taken as `known_at`, and anything before 1970 as 1970.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from collectors.measures import MEASURES
from collectors.observation import Batch
from monitor.records import EPOCH, to_micros
from monitor.store.bulk import ReadingRow, write_newest_counts, write_readings
from monitor.store.held import Answer
from monitor.store.latest import Told, load_latest, write_held
from monitor.store.listing_rows import write_listings
from monitor.store.series_ids import SeriesIds, SeriesKey

Touched = dict[int, set[SeriesKey]]  # by batch id

_COUNTS = frozenset(name for name, measure in MEASURES.items() if measure.kind == "count")


class _Micros(dict[datetime, int]):
    """Instant → microseconds, bounded; remembered because a batch repeats few instants many times."""

    def __init__(self, known_at: datetime) -> None:
        self._known_at = known_at

    def __missing__(self, at: datetime) -> int:
        self[at] = micros = to_micros(bounded(at, self._known_at))
        return micros


def bounded(at: datetime, known_at: datetime) -> datetime:
    return min(max(at, EPOCH), known_at)


def write_numbers(
    connection: Connection, series: SeriesIds, new: list[tuple[int, Batch]], known_at: datetime
) -> tuple[Touched, dict[SeriesKey, int]]:
    """Write the observations of new batches (id, batch); returns what changed and the series looked up."""
    keys = [(each.measure, each.subject) for _, batch in new for each in batch.observations]
    ids, looked_up = series.find(connection, keys)
    key_of = dict(zip(ids, keys, strict=True))
    counts: list[ReadingRow] = []
    told: list[Told] = []
    end = 0
    for batch_id, batch in new:
        start, end = end, end + len(batch.observations)
        counts += _sort_out((batch_id, batch), ids[start:end], known_at, told)
    counts.sort()
    touched: Touched = {batch_id: set() for batch_id, _ in new}
    for batch_id, series_id in {(row[2], row[0]) for row in counts}:
        touched[batch_id].add(key_of[series_id])
    changed = _write_told(connection, told, known_at)
    for batch_id, series_id in changed:
        touched[batch_id].add(key_of[series_id])
    write_readings(connection, counts)
    newest = {row[0]: (row[0], row[1], row[1], row[4]) for row in counts}  # sorted: the newest is the last
    write_newest_counts(connection, list(newest.values()))
    return touched, looked_up


def _sort_out(
    new: tuple[int, Batch], ids: list[int], known_at: datetime, told: list[Told]
) -> list[ReadingRow]:
    """The counts of one batch as rows; what must be compared with what holds goes to `told`."""
    batch_id, batch = new
    micros = _Micros(known_at)
    known = micros[known_at]
    summed: dict[tuple[int, int], float] = {}
    for observation, series_id in zip(batch.observations, ids, strict=True):
        value = observation.value
        if value is None or observation.measure not in _COUNTS:
            at = bounded(observation.at, known_at)
            answer = Answer(at, value, observation.reason, observation.detail)
            told.append(Told(series_id, batch_id, observation.measure, observation.subject, answer))
            continue
        place = (series_id, micros[observation.at])
        summed[place] = summed.get(place, 0.0) + value
    return [(series_id, at, batch_id, known, value, None) for (series_id, at), value in summed.items()]


def _write_told(connection: Connection, told: list[Told], known_at: datetime) -> set[tuple[int, int]]:
    """Returns the (batch id, series id) that changed something."""
    if not told:
        return set()
    told = list({(each.series_id, each.batch_id, each.answer.at): each for each in told}.values())
    told.sort(key=lambda each: (each.series_id, each.answer.at))
    before = load_latest(connection, {each.series_id for each in told})
    changes = write_held(connection, told, before)
    known = to_micros(known_at)
    rows = [
        (series_id, to_micros(at), batch_id, known, value, reason)
        for (series_id, batch_id, at), (value, reason) in changes.items()
    ]
    write_readings(connection, sorted(rows, key=lambda row: row[:3]))
    known_before = {series_id for series_id, held in before.items() if held.at is not None}
    never_known = {each.series_id for each in told} - known_before
    phases = write_listings(connection, [each for each in told if each.measure == "listing"], never_known)
    return phases | {(batch_id, series_id) for series_id, batch_id, _ in changes}
