"""The rows of the fast way in, as plain tuples: what `bulk` and `copy` hand each other.

An instant in a row to be written is an integer as the engine keeps it (`bulk.stored`).
"""

from __future__ import annotations

from datetime import datetime

from collectors.dimensions import Use, names

# (series_id, at, batch_id, known_at, value, reason)
ReadingRow = tuple[int, int, int, int, float | None, str | None]

# (checked_at, at, series_id): an answer that says the same again; `at` is None where nothing was ever known
CheckedRow = tuple[int, int | None, int]

LATEST_COLUMNS = ("series_id", "checked_at", "at", "since", "value", "reason", "unknown_since", "detail")

# `LATEST_COLUMNS` to be written, and as read (instants as datetimes); `detail` is JSON text in both
LatestRow = tuple[int, int, int | None, int | None, float | None, str | None, int | None, str]
LatestFound = tuple[
    int, datetime, datetime | None, datetime | None, float | None, str | None, datetime | None, str
]

TRACE_COLUMNS = (
    "batch_id", "source", "at", "known_at", "kind", *names(Use.TRACE), "recipient_hash", "recipient_ref", "message_id",
    "message_hash", "category", "status", "reply_code", "text", "how", "count",
)  # fmt: skip
