"""How facts are printed: readings, traces, runs of collectors, input that was parked, the database itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from collectors.traces import TraceKind
from monitor.facts.runs import Outcome
from monitor.wire import Wire


class Reading(Wire):
    """One number. `value` null: asked and not known, `reason` says why."""

    measure: str
    subject: dict[str, str]
    at: datetime
    known_at: datetime
    value: float | None
    reason: str | None


class Observation(Wire):
    """One number as a collector just saw it."""

    measure: str
    subject: dict[str, str]
    at: datetime
    value: float | None
    reason: str | None
    detail: dict[str, Any]


class Trace(Wire):
    """One fact about one message or recipient. `recipient_ref` is what the customer's own sender can compute."""

    at: datetime
    known_at: datetime
    kind: TraceKind
    customer: str | None
    stream: str | None
    campaign: str | None
    ip: str | None
    domain: str | None
    provider: str | None
    recipient_ref: str | None
    message_id: str | None
    category: str | None
    status: str | None
    reply_code: str | None
    text: str | None
    how: str | None
    count: int
    batch_id: int


class RunCounts(Wire):
    batches: int
    repeats: int
    observations: int
    unknowns: int
    traces: int
    parked: int


class Run(RunCounts):
    """One execution of a collector."""

    id: int
    collector: str
    started_at: datetime
    ended_at: datetime | None
    outcome: Outcome
    reason: str | None
    text: str | None


class RunEnd(RunCounts):
    """How a run of a collector went, as the command prints it."""

    collector: str
    outcome: Outcome
    reason: str | None
    text: str | None


class RunLine(Wire):
    run: RunEnd


class Parked(Wire):
    """An input that could not be used, without its body; `received_at` is when the source had it."""

    id: int
    source: str
    place: str
    reason: str
    text: str
    size: int
    received_at: datetime
    parked_at: datetime
    settled_at: datetime | None
    settled_by: str | None
    settled_why: str | None


class Schema(Wire):
    """Engine and schema revision of the database."""

    engine: str
    revision: str | None


class TableBytes(Wire):
    """Rows and bytes with indexes (`estimated`: from samples or statistics); `frees_bytes` go at `frees_at` (partitions)."""

    table: str
    rows: int
    bytes: int | None
    frees_bytes: int | None
    frees_at: datetime | None
    estimated: bool


class KindFreed(Wire):
    """Rows of one kind that retention removes within the next 30 days, and their share of their table's bytes."""

    kind: str
    setting: str
    rows: int
    bytes: int | None
    estimated: bool


class Database(Schema):
    """The database as a whole and by table; the counts are missing where there is no schema yet."""

    newest_revision: str | None
    bytes: int
    series_count: int | None = None
    batch_count: int | None = None
    rollup_due_count: int | None = None
    job_count: int | None = None
    tables: Sequence[TableBytes] = ()
    frees: Sequence[KindFreed] = ()


class BackupFile(Wire):
    """A backup as written."""

    file: str
    bytes: int


class Pruned(Wire):
    """Rows that went, by kind (on PostgreSQL of readings, roll-ups and traces whole months or years)."""

    reading: int
    reading_hourly: int
    reading_daily: int
    trace: int
    series: int
    evidence: int
    parked: int
    parked_unsettled: int
    batch: int
    run: int
    incident: int
    suspension: int
    silence: int
    listing: int
    abuse_case: int
    outbox: int
    transition: int
    suppression: int
    api_key: int
