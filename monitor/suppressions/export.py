"""Every suppression of a customer as lines, page by page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import orjson

from monitor.database.paging import Page
from monitor.facts import Store
from monitor.suppressions import rows as suppression_rows
from monitor.suppressions.lines import COLUMNS
from monitor.suppressions.rows import Wanted

_PAGE = 5_000


def exported(store: Store, customer: str | None, layout: str) -> Iterator[bytes]:
    """Pieces of CSV (with its header) or NDJSON, page by page; no page waits for the next to be read."""
    if layout == "csv":
        yield _as_csv([COLUMNS])
    page = Page(_PAGE)
    while True:
        with store.reading_session() as session:
            suppressed = suppression_rows.find(session, Wanted(customer), page)
        lines = [(row.customer, row.recipient_ref, row.reason, row.stream or None, row.since) for row in suppressed.rows]
        if layout == "csv":
            yield _as_csv([(*line[:-1], line[-1].isoformat()) for line in lines])
        else:
            yield b"".join(orjson.dumps(dict(zip(COLUMNS, line, strict=True))) + b"\n" for line in lines)
        if suppressed.next is None:
            return
        page = Page(_PAGE, suppressed.next)


def _as_csv(rows: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
