"""The `latest` table for states and gauges: load what holds, fold the answers in, write it back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import Connection, select

from collectors.observation import Subject
from monitor.records import Latest
from monitor.store.engine import insert_into, table
from monitor.store.held import Answer, Held, hold
from monitor.store.series_ids import chunks

_FIELDS = ("asked_at", "at", "since", "value", "reason", "unknown_since", "detail")

# (series_id, batch_id, at) → value, reason
Changes = dict[tuple[int, int, datetime], tuple[float | None, str | None]]


class Told(NamedTuple):
    """An answer about a state, gauge or count that could not be had; and which batch brought it."""

    series_id: int
    batch_id: int
    measure: str
    subject: Subject
    answer: Answer


def load_latest(connection: Connection, series_ids: Iterable[int]) -> dict[int, Held]:
    latest = table(Latest)
    held: dict[int, Held] = {}
    for chunk in chunks(sorted(series_ids)):
        query = select(latest.c.series_id, *(latest.c[name] for name in _FIELDS)).where(latest.c.series_id.in_(chunk))
        held.update((row[0], Held(*row[1:])) for row in connection.execute(query))
    return held


def write_held(connection: Connection, told: list[Told], before: dict[int, Held]) -> Changes:
    """Fold answers (sorted by series and time) into what held before and store it; returns the readings due."""
    rows: Changes = {}
    after: dict[int, Held] = {}
    for series_id, answers in groupby(told, key=lambda each: each.series_id):
        held = before.get(series_id)
        for each in answers:
            held, readings = hold(held, each.answer)
            rows |= {(series_id, each.batch_id, at): (value, reason) for at, value, reason in readings}
            after[series_id] = held
    insert = insert_into(connection, Latest)
    upsert = insert.on_conflict_do_update(
        index_elements=["series_id"], set_={name: insert.excluded[name] for name in _FIELDS}
    )
    connection.execute(upsert, [{"series_id": series_id, **_columns(held)} for series_id, held in after.items()])
    return rows


def _columns(held: Held) -> dict[str, object]:
    return {name: getattr(held, name) for name in _FIELDS} | {"detail": dict(held.detail)}
