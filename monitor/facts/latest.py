"""The `latest` table for states and gauges: load what holds, fold the answers in, write it back."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from monitor.database.bulk import find_latest, stored, write_checked, write_latest
from monitor.database.rows import CheckedRow, LatestRow
from monitor.facts.consequences import NewAnswer
from monitor.facts.states import Answer, Held, Row, hold

# (series_id, batch_id, at) → value, reason
Changes = dict[tuple[int, int, datetime], tuple[float | None, str | None]]


class _Details(dict[str, Mapping[str, Any]]):
    """JSON texts read, each once: most answers of a list say the same of themselves."""

    def __missing__(self, text: str) -> Mapping[str, Any]:
        detail: Mapping[str, Any] = json.loads(text)
        self[text] = detail
        return detail


def load_latest(connection: Connection, series_ids: Collection[int]) -> dict[int, Held]:
    details = _Details()
    return {
        series_id: Held(checked_at, at, since, value, reason, unknown_since, details[detail])
        for series_id, checked_at, at, since, value, reason, unknown_since, detail in find_latest(
            connection, series_ids
        )
    }


def write_held(
    connection: Connection, answers: Sequence[NewAnswer], before: dict[int, Held],
    fold: Callable[[Held | None, Answer], tuple[Held, Sequence[Row]]] = hold,
) -> Changes:
    """Fold answers (sorted by series and time) into what held before and store it; returns the readings due."""
    changes: Changes = {}
    after = dict(before)
    for series_id, batch_id, _, _, answer in answers:
        after[series_id], readings = fold(after.get(series_id), answer)
        for at, value, reason in readings:
            changes[series_id, batch_id, at] = (value, reason)
    rows: list[CheckedRow] = []
    whole: list[LatestRow] = []
    for series_id, held in after.items():
        was = before.get(series_id)
        if was is None or held.what_holds != was.what_holds:
            whole.append(_row(connection, series_id, held))
        elif held is not was:
            rows.append((stored(connection, held.checked_at), _maybe(connection, held.at), series_id))
    write_checked(connection, rows)
    write_latest(connection, whole)
    return changes


def _row(connection: Connection, series_id: int, held: Held) -> LatestRow:
    return (
        series_id, stored(connection, held.checked_at), _maybe(connection, held.at), _maybe(connection, held.since),
        held.value, held.reason, _maybe(connection, held.unknown_since), json.dumps(dict(held.detail)),
    )  # fmt: skip


def _maybe(connection: Connection, at: datetime | None) -> int | None:
    return None if at is None else stored(connection, at)
