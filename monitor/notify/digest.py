"""Several notifications as one message: what has happened, to how many, whose. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from monitor.config.severity import GRAVEST_FIRST, Severity, worst
from monitor.database.tables import Outbox
from monitor.notify.message import Event, Message
from monitor.notify.words import counted, kinds_of, some

_MOST_LINES = 20
_GRAVITY = (Event.FIRING, Event.WORSENED, Event.REMINDER, Event.RESOLVED)


def merged(rows: Sequence[Outbox]) -> Message:
    """One message for rows of several incidents, the oldest first; of each incident what happened last."""
    last = {row.incident_id: row for row in rows}
    fired = {row.incident_id for row in rows if row.event != Event.RESOLVED}
    events = Counter(row.event for row in last.values())
    counts = ", ".join(f"{event.upper()} {events[event]}" for event in _GRAVITY if events[event])
    rules = sorted({str(row.details.get("labels", {}).get("rule", "")) for row in last.values()} - {""})
    parts = [counted(len(last), "incident"), *_how_many(last.values()), *_whose(last.values())]
    lines = [
        row.title + (" (began and ended meanwhile)" if row.event == Event.RESOLVED and row.incident_id in fired else "")
        for row in sorted(last.values(), key=lambda row: (_rank(row), row.id or 0))
    ]
    more = [f"and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []
    page = next((str(row.details["url"]).rpartition("/")[0] for row in last.values() if row.details.get("url")), None)
    body = [*lines[:_MOST_LINES], *more, *([f"More: {page}"] if page else [])]
    return Message(f"[{counts}] {worst(row.severity for row in rows)}: {', '.join(parts)} ({some(rules, 3)})", "\n".join(body))


def event_of(rows: Sequence[Outbox]) -> Event:
    """What a message about all of them says first."""
    last = {row.incident_id: Event(row.event) for row in rows}
    return min(last.values(), key=_GRAVITY.index)


def _how_many(rows: Collection[Outbox]) -> list[str]:
    targets = {target for row in rows for target in row.details.get("targets", ())}
    cut = any(row.details.get("target_count", 0) > len(row.details.get("targets", ())) for row in rows)
    return [f"{'at least ' if cut else ''}{kinds_of(targets)}"] if targets else []


def _whose(rows: Collection[Outbox]) -> list[str]:
    customers = sorted({name for row in rows for name in row.details.get("customers", ())})
    return [f"customer{'s' if len(customers) > 1 else ''} {some(customers, 3)}"] if customers else []


def _rank(row: Outbox) -> tuple[int, int]:
    return _GRAVITY.index(Event(row.event)), GRAVEST_FIRST.index(Severity(row.severity))


def items_of(rows: Sequence[Outbox]) -> list[Mapping[str, Any]]:
    """The details of each row, with its event and key, for whoever reads them by machine."""
    return [{**row.details, "incident": row.incident_id, "event": row.event, "title": row.title, "key": row.key} for row in rows]
