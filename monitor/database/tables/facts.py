"""What the world said: append-only, with `at` (what it is about) and `known_at` (when we learnt it).

On PostgreSQL readings, roll-ups, traces and evidence lie in partitions (monitor.database.partitions) and the primary
key of a trace is (customer, at, id), that of evidence (batch_id, expires_at, id); to the program both are known by `id`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Double, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.sql.elements import TextClause
from sqlmodel import Field, SQLModel

from collectors.traces import TRACE_KINDS
from monitor.database.tables.columns import (
    SQLITE_ONLY,
    Digest,
    Id,
    Instant,
    Nameless,
    instant,
    json_column,
    maybe_instant,
    row_id,
)

# Of traces that somebody follows batch by batch; a partial index is used only where a query says it word for word.
FOLLOWED_KINDS = tuple(kind.value for kind, row in TRACE_KINDS.items() if row.case)
FOLLOWED = text(f"kind IN ({', '.join(repr(kind) for kind in FOLLOWED_KINDS)})")


class BatchRow(SQLModel, table=True):
    """One intake. (`source`, `key`) is unique: the same batch is taken once."""

    __tablename__: ClassVar[str] = "batch"
    __table_args__ = (UniqueConstraint("source", "key"),)
    id: int | None = row_id()
    source: str
    key: str
    at: datetime = instant()
    known_at: datetime = instant(index=True)
    observations: int = 0
    traces: int = 0
    parked: int = 0


class RecordKey(SQLModel, table=True):
    """One delivery record that was counted, by a hash of what it says: it is counted once, in whichever batch it comes."""

    __tablename__: ClassVar[str] = "record_key"
    key: int = Field(sa_column=Column(Id, primary_key=True, autoincrement=False))
    known_at: datetime = instant(index=True)


class CountedRow(SQLModel, table=True):
    """What one batch added to the counts, packed (monitor.facts.count_log); kept for minutes."""

    __tablename__: ClassVar[str] = "counted"
    batch_id: int = Field(sa_column=Column(Id, primary_key=True, autoincrement=False))
    counts: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class Series(SQLModel, table=True):
    """One measure of one subject, a column for each of its fields. `key` is its canonical text (facts.series_ids)."""

    __table_args__ = (Index("series_measure", "measure", "customer"),)
    id: int | None = row_id()
    measure: str
    key: str = Field(unique=True)
    customer: str | None = None
    stream: str | None = None
    campaign: str | None = None
    ip: str | None = None
    domain: str | None = None
    provider: str | None = None
    dnsbl: str | None = None
    operator: str | None = None
    mailbox: str | None = None
    seed: str | None = None
    aspect: str | None = None
    collector: str | None = None


class Reading(SQLModel, table=True):
    """An append-only number. `value` NULL: asked and not known, `reason` says why.

    On SQLite clustered by its key (WITHOUT ROWID); on PostgreSQL partitioned by month of `at`. `batch_id`
    keeps the deltas of two intakes apart that fall on the same instant.
    """

    __table_args__ = ({"sqlite_with_rowid": False, "postgresql_partition_by": "RANGE (at)"},)
    series_id: int = Field(sa_column=Column(Id, primary_key=True, autoincrement=False))
    at: datetime = Field(sa_column=Column(Instant, primary_key=True))
    batch_id: int = Field(sa_column=Column(Id, primary_key=True, autoincrement=False))
    known_at: datetime = instant()
    value: float | None = Field(default=None, sa_column=Column(Double, nullable=True))
    reason: str | None = None


class Latest(SQLModel, table=True):
    """What holds now for a state or gauge, also where nothing changed (then only `checked_at` moves).

    `value`/`at`/`since` are of the newest *known* answer; `reason` is set while the newest answer is
    unknown. `detail` explains the newest known answer (a change of its TTL alone is not written).
    """

    # Updated with every intake: room on the page lets PostgreSQL do it without touching the index.
    __table_args__ = ({"postgresql_with": {"fillfactor": "50"}},)
    series_id: int = Field(sa_column=Column(Id, ForeignKey("series.id"), primary_key=True, autoincrement=False))
    checked_at: datetime = instant()
    at: datetime | None = maybe_instant()
    since: datetime | None = maybe_instant()
    value: float | None = Field(default=None, sa_column=Column(Double, nullable=True))
    reason: str | None = None
    unknown_since: datetime | None = maybe_instant()
    detail: dict[str, Any] = json_column()


class _Rollup(SQLModel):
    """A period of a series: sum for counts; lowest, highest and last for states and gauges.

    `known_at` is the newest of its readings: who asks what was known then may use the row. NULL: made before this was
    kept, so nobody can say.
    """

    series_id: int = Field(primary_key=True, sa_type=Id)
    start: datetime = Field(primary_key=True, sa_type=Instant)
    readings: int = 0
    unknowns: int = 0
    total: float | None = Field(default=None, sa_type=Double)
    lowest: float | None = Field(default=None, sa_type=Double)
    highest: float | None = Field(default=None, sa_type=Double)
    last: float | None = Field(default=None, sa_type=Double)
    known_at: datetime | None = Field(default=None, sa_type=Instant)


class Hourly(_Rollup, table=True):
    __tablename__: ClassVar[str] = "reading_hourly"
    __table_args__ = ({"sqlite_with_rowid": False, "postgresql_partition_by": "RANGE (start)"},)


class Daily(_Rollup, table=True):
    __tablename__: ClassVar[str] = "reading_daily"
    __table_args__ = ({"sqlite_with_rowid": False, "postgresql_partition_by": "RANGE (start)"},)


class RollupDue(SQLModel, table=True):
    """An hour of a series whose roll-ups no longer hold all; written with the readings that made it so."""

    __tablename__: ClassVar[str] = "rollup_due"
    __table_args__ = ({"sqlite_with_rowid": False},)
    start: datetime = Field(sa_column=Column(Instant, primary_key=True))  # first: worked off hour by hour
    series_id: int = Field(sa_column=Column(Id, primary_key=True, autoincrement=False))


def _index(name: str, *columns: str, where: TextClause | None = None) -> Index:
    """Of the rows that have the first column at all, or of those `where` says."""
    only = text(f"{columns[0]} IS NOT NULL") if where is None else where
    return Index(name, *columns, sqlite_where=only, postgresql_where=only)


class TraceRow(SQLModel, table=True):
    """One fact about one message or recipient; the recipient as 16 bytes of HMAC-SHA256, never in clear.

    `recipient_ref` names the recipient among the customer's (monitor.sender.recipient), in hex. `source` is that of
    its batch. `message_hash` finds a message however its id was written (monitor.facts.traces.message_hash).
    """

    __tablename__: ClassVar[str] = "trace"
    __table_args__ = (
        Index("trace_customer", "customer", "at", info=SQLITE_ONLY),
        _index("trace_recipient", "recipient_hash", "at"),
        _index("trace_message", "message_hash"),
        _index("trace_campaign", "campaign", "at"),
        _index("trace_ip", "ip", "at"),
        _index("trace_followed", "batch_id", where=FOLLOWED),
        {"postgresql_partition_by": "RANGE (at)"},
    )
    id: int | None = row_id()
    batch_id: int = Field(sa_column=Column(Id, nullable=False))
    at: datetime = instant()
    known_at: datetime = instant()
    kind: str  # collectors.traces.TraceKind
    customer: str | None = Field(default=None, sa_column=Column(Nameless, nullable=False, server_default=text("''")))
    stream: str | None = None
    campaign: str | None = None
    ip: str | None = None
    domain: str | None = None
    provider: str | None = None
    recipient_hash: str | None = Field(default=None, sa_type=Digest)
    recipient_ref: str | None = None
    message_id: str | None = None
    category: str | None = None
    status: str | None = None
    reply_code: str | None = None
    text: str | None = None
    how: str | None = None
    count: int = 1
    source: str = ""
    message_hash: str | None = Field(default=None, sa_type=Digest)


class EvidenceRow(SQLModel, table=True):
    """What was received, compressed with zlib, until `expires_at`."""

    __tablename__: ClassVar[str] = "evidence"
    __table_args__ = (
        Index("ix_evidence_batch_id", "batch_id", info=SQLITE_ONLY),
        {"postgresql_partition_by": "RANGE (expires_at)"},
    )
    id: int | None = row_id()
    batch_id: int = Field(sa_column=Column(Id, nullable=False))
    kind: str
    at: datetime = instant()
    sha256: str
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    expires_at: datetime = instant(index=True)


class ParkedRow(SQLModel, table=True):
    """Input that could not be understood, with its reason, until somebody has looked and said why it is settled.

    `body` is compressed with zlib (database.bodies), `size` its bytes before that.
    """

    __tablename__: ClassVar[str] = "parked"
    __table_args__ = (_index("parked_settled", "settled_at"),)
    id: int | None = row_id()
    batch_id: int = Field(sa_column=Column(Id, nullable=False))
    collector: str
    place: str
    reason: str
    text: str
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    at: datetime = instant(index=True)
    settled_at: datetime | None = maybe_instant()
    settled_by: str | None = None
    settled_why: str | None = None
