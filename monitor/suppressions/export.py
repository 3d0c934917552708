"""Every suppression of a customer as lines, page by page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import orjson

from monitor.facts import Store
from monitor.suppressions import rows as suppression_rows
from monitor.suppressions.lines import (
    COLUMNS,
)
from monitor.suppressions.rows import Asked

_PAGE = 5_000


def exported(store: Store, customer: str | None, layout: str) -> Iterator[bytes]:
    """Pieces of CSV (with its header) or NDJSON, page by page; no page waits for the next to be read."""
    if layout == "csv":
        yield _as_csv([COLUMNS])
    before: int | None = None
    while True:
        with store.reading_session() as session:
            rows = suppression_rows.find(session, Asked(customer), _PAGE, before)
        lines = [(row.customer, row.recipient_ref, row.reason, row.stream or None, row.since) for row in rows]
        if layout == "csv":
            yield _as_csv([(*line[:-1], line[-1].isoformat()) for line in lines])
        else:
            yield b"".join(orjson.dumps(dict(zip(COLUMNS, line, strict=True))) + b"\n" for line in lines)
        if len(rows) < _PAGE:
            return
        before = rows[-1].id


def _as_csv(rows: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
