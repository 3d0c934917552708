"""A provider's own figures of its days: written only where they are news, the newest reported counting.

A figure is kept as it was reported, at the beginning of its day. Reported again with another value it is a revision, a reading of its own
with its own `known_at` and a later batch; what says the same leaves nothing. That a day is not known (any more) never takes the place of a
figure that was reported. `superseded` says in SQL which readings count no longer. It may be wrong where readings are gone: of
those days the hours and days that were rolled up are left, which hold the newest figure whenever it was reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from collectors.measures import MEASURES, MeasureKind
from monitor.database.bulk import stored, write_readings
from monitor.database.engine import chunks, table
from monitor.database.tables import Reading
from monitor.facts.consequences import FoldAnswers, NewAnswer
from monitor.facts.latest import load_latest, write_held
from monitor.facts.states import Answer, Held, Row, hold

DAILY = frozenset(name for name, measure in MEASURES.items() if measure.kind is MeasureKind.DAILY)
ADDING_UP = frozenset(name for name in DAILY if MEASURES[name].adds_up)

_Figure = tuple[float | None, str | None]  # value, reason
_Figures = dict[tuple[int, datetime], _Figure]  # series id and day → the newest reported


def superseded(reading: str, known: str = "") -> str:
    """The SQL that is true of a reading of a figure (`reading`: its alias) reported anew since; `known`: a further condition on `later`."""
    return (
        f"EXISTS (SELECT 1 FROM reading later WHERE later.series_id = {reading}.series_id AND later.at = {reading}.at"  # noqa: S608
        f" AND later.batch_id > {reading}.batch_id AND later.value IS NOT NULL{known})"
    )


def write_figures(
    connection: Connection, answers: Sequence[NewAnswer], known_at: datetime, folds: Mapping[str, FoldAnswers]
) -> None:
    """`answers` in the order of their batches. Of two in one batch about the same day the later is taken."""
    if not answers:
        return
    once = {(each.series_id, each.batch_id, each.answer.at): each for each in answers}
    news = _news(list(once.values()), _reported(connection, once))
    known = stored(connection, known_at)
    write_readings(connection, [
        (each.series_id, stored(connection, each.answer.at), each.batch_id, known, each.answer.value, each.answer.reason)
        for each in news
    ])  # fmt: skip
    news.sort(key=lambda each: (each.series_id, each.answer.at, each.batch_id))
    before = load_latest(connection, {each.series_id for each in news})
    write_held(connection, news, before, _hold)  # the readings are written above
    never_known = frozenset({each.series_id for each in news} - {id_ for id_, held in before.items() if held.at is not None})
    for measure, fold in folds.items():
        if of_measure := [each for each in news if each.measure == measure]:
            fold(connection, of_measure, never_known)


def _hold(held: Held | None, answer: Answer) -> tuple[Held, Sequence[Row]]:
    """The newest day's figure holds, also where that day is reported anew after a later one was not known."""
    if held is None or answer.at >= held.checked_at:
        return hold(held, answer)
    if answer.value is None or (held.at is not None and answer.at < held.at):
        return held, ()
    since = held.since if held.value == answer.value else answer.at
    return held._replace(at=answer.at, since=since, value=answer.value, detail=answer.detail), ()


def _news(answers: list[NewAnswer], reported: _Figures) -> list[NewAnswer]:
    news = []
    for each in answers:
        key, figure = (each.series_id, each.answer.at), (each.answer.value, each.answer.reason)
        before = reported.get(key)
        if before is not None and (figure == before or (figure[0] is None and before[0] is not None)):
            continue
        reported[key] = figure
        news.append(each)
    return news


def _reported(connection: Connection, wanted: Mapping[tuple[int, int, datetime], NewAnswer]) -> _Figures:
    """What was last reported of the days asked about; a figure goes before what was not known."""
    columns = table(Reading).c
    days = [at for _, _, at in wanted]
    reported: _Figures = {}
    for ids in chunks(sorted({series_id for series_id, _, _ in wanted})):
        query = (
            select(columns.series_id, columns.at, columns.value, columns.reason)
            .where(columns.series_id.in_(ids), columns.at >= min(days), columns.at <= max(days))
            .order_by(columns.batch_id)
        )
        for series_id, at, value, reason in connection.execute(query):
            if value is not None or reported.get((series_id, at), (None,))[0] is None:
                reported[series_id, at] = (value, reason)
    return reported
