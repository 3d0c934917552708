"""Every row Vigie keeps, as SQLModel tables; the same on SQLite and PostgreSQL.

Two times stand in the facts: `at` (what the fact is about) and `known_at` (when we learnt it). Facts are
append-only; control rows change, and every change that matters leaves a `Transition`.
Instants are aware UTC everywhere in Python: integer microseconds in SQLite, timestamptz in PostgreSQL.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import Field, SQLModel

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(at: datetime) -> int:
    """Aware datetime → integer microseconds since 1970 (exact)."""
    return (at - EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Integer microseconds since 1970 → aware UTC datetime (exact)."""
    return EPOCH + timedelta(microseconds=micros)


class Instant(TypeDecorator[datetime]):
    """A point in time; refuses naive datetimes."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(DateTime(timezone=True))
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} carries no time zone")
        return value if dialect.name == "postgresql" else to_micros(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if dialect.name == "postgresql":
            instant: datetime = value.astimezone(UTC)
            return instant
        return from_micros(value)


# SQLite only counts up a primary key declared INTEGER; PostgreSQL wants 64 bits.
_Id = BigInteger().with_variant(Integer(), "sqlite")


def _id() -> Any:
    return Field(default=None, sa_column=Column(_Id, primary_key=True, autoincrement=True))


def _instant(*, index: bool = False) -> Any:
    return Field(sa_column=Column(Instant, nullable=False, index=index))


def _maybe_instant(*, index: bool = False) -> Any:
    return Field(default=None, sa_column=Column(Instant, nullable=True, index=index))


def _json(default: Any = dict) -> Any:
    return Field(default_factory=default, sa_column=Column(JSON, nullable=False))


# ── inventory ────────────────────────────────────────────────────────────────────────────────────


class Customer(SQLModel, table=True):
    """Whose mail we send. `id` is a short stable slug; `id_headers`: header → value that only its mails carry."""

    id: str = Field(primary_key=True)
    name: str
    id_headers: dict[str, str] = _json()


class Stream(SQLModel, table=True):
    """One customer's mail of one class; `kind` is transactional or marketing."""

    customer: str = Field(primary_key=True, foreign_key="customer.id")
    name: str = Field(primary_key=True)
    kind: str = "marketing"


class Pool(SQLModel, table=True):
    name: str = Field(primary_key=True)
    customer: str | None = Field(default=None, foreign_key="customer.id")  # None: shared


class SendingIp(SQLModel, table=True):
    """An egress address in canonical form (IPv6 compressed, lower case)."""

    __tablename__: ClassVar[str] = "sending_ip"
    address: str = Field(primary_key=True)
    pool: str | None = Field(default=None, foreign_key="pool.name")
    customer: str | None = Field(default=None, foreign_key="customer.id")  # None: shared
    role: str = "mta"


class SendingDomain(SQLModel, table=True):
    """A From or DKIM d= domain, lower case, A-labels."""

    __tablename__: ClassVar[str] = "sending_domain"
    domain: str = Field(primary_key=True)
    customer: str | None = Field(default=None, foreign_key="customer.id")
    stream: str | None = None


class MailboxProvider(SQLModel, table=True):
    """A mailbox provider the shipped table does not know, or knows differently."""

    __tablename__: ClassVar[str] = "mailbox_provider"
    id: str = Field(primary_key=True)
    name: str
    domains: list[str] = _json(list)
    mx: list[str] = _json(list)


class Seed(SQLModel, table=True):
    """Our mailbox at a provider. `secret` names an entry of the configuration's secrets."""

    address: str = Field(primary_key=True)
    provider: str
    host: str
    port: int = 993
    tls: str = "implicit"
    username: str | None = None
    secret: str


class ReportMailbox(SQLModel, table=True):
    """An IMAP mailbox where reports arrive; `purpose` is feedback_loop, bounces, dmarc_reports or abuse."""

    __tablename__: ClassVar[str] = "report_mailbox"
    name: str = Field(primary_key=True)
    purpose: str = "feedback_loop"
    provider: str | None = None
    host: str
    port: int = 993
    tls: str = "implicit"
    username: str
    secret: str
    folder: str = "INBOX"
    done_folder: str | None = None
    parked_folder: str | None = "Vigie-parked"


# ── facts ────────────────────────────────────────────────────────────────────────────────────────


class BatchRow(SQLModel, table=True):
    """One intake. (`source`, `key`) is unique: the same batch is taken once."""

    __tablename__: ClassVar[str] = "batch"
    __table_args__ = (UniqueConstraint("source", "key"),)
    id: int | None = _id()
    source: str
    key: str
    at: datetime = _instant()
    known_at: datetime = _instant(index=True)
    observations: int = 0
    traces: int = 0
    parked: int = 0


class Series(SQLModel, table=True):
    """One measure of one subject. `key` is its canonical text (store.series_key)."""

    id: int | None = _id()
    measure: str = Field(index=True)
    key: str = Field(unique=True)
    customer: str | None = Field(default=None, index=True)
    stream: str | None = None
    campaign: str | None = None
    ip: str | None = None
    domain: str | None = None
    provider: str | None = None
    dnsbl: str | None = None
    collector: str | None = None


class Reading(SQLModel, table=True):
    """An append-only number. `value` NULL: asked and not known, `reason` says why.

    On SQLite clustered by its key (WITHOUT ROWID); on PostgreSQL partitioned by month of `at`. `batch_id`
    keeps the deltas of two intakes apart that fall on the same instant.
    """

    __table_args__ = ({"sqlite_with_rowid": False, "postgresql_partition_by": "RANGE (at)"},)
    series_id: int = Field(sa_column=Column(_Id, primary_key=True, autoincrement=False))
    at: datetime = Field(sa_column=Column(Instant, primary_key=True))
    batch_id: int = Field(sa_column=Column(_Id, primary_key=True, autoincrement=False))
    known_at: datetime = _instant()
    value: float | None = Field(default=None, sa_column=Column(Double, nullable=True))
    reason: str | None = None


class Latest(SQLModel, table=True):
    """What holds now for a series, also where nothing changed (then only `asked_at` moves).

    `value`/`at`/`since` are of the newest *known* answer; `reason` is set while the newest answer is
    unknown. `detail` explains the newest known answer (a change of its TTL alone is not written).
    """

    # Updated with every intake: room on the page lets PostgreSQL do it without touching the index.
    __table_args__ = ({"postgresql_with": {"fillfactor": "50"}},)
    series_id: int = Field(sa_column=Column(_Id, ForeignKey("series.id"), primary_key=True, autoincrement=False))
    asked_at: datetime = _instant()
    at: datetime | None = _maybe_instant()
    since: datetime | None = _maybe_instant()
    value: float | None = Field(default=None, sa_column=Column(Double, nullable=True))
    reason: str | None = None
    unknown_since: datetime | None = _maybe_instant()
    detail: dict[str, Any] = _json()


class _Rollup(SQLModel):
    """A period of a series: sum for counts; lowest, highest and last for states and gauges."""

    series_id: int = Field(primary_key=True, sa_type=_Id)
    start: datetime = Field(primary_key=True, sa_type=Instant)
    readings: int = 0
    unknowns: int = 0
    total: float | None = Field(default=None, sa_type=Double)
    lowest: float | None = Field(default=None, sa_type=Double)
    highest: float | None = Field(default=None, sa_type=Double)
    last: float | None = Field(default=None, sa_type=Double)


class Hourly(_Rollup, table=True):
    __tablename__: ClassVar[str] = "reading_hourly"
    __table_args__ = ({"sqlite_with_rowid": False},)


class Daily(_Rollup, table=True):
    __tablename__: ClassVar[str] = "reading_daily"
    __table_args__ = ({"sqlite_with_rowid": False},)


class RollupDue(SQLModel, table=True):
    """An hour of a series whose roll-ups no longer tell all; written with the readings that made it so."""

    __tablename__: ClassVar[str] = "rollup_due"
    __table_args__ = ({"sqlite_with_rowid": False},)
    start: datetime = Field(sa_column=Column(Instant, primary_key=True))  # first: worked off hour by hour
    series_id: int = Field(sa_column=Column(_Id, primary_key=True, autoincrement=False))


class TraceRow(SQLModel, table=True):
    """One fact about one message or recipient; the recipient as HMAC-SHA256 in hex, never in clear.

    `recipient_ref` names the recipient among the customer's (monitor.sender.recipient), in hex.
    """

    __tablename__: ClassVar[str] = "trace"
    __table_args__ = (Index("trace_recipient", "recipient_hash", "at"), Index("trace_message", "message_id"))
    id: int | None = _id()
    batch_id: int = Field(sa_column=Column(_Id, nullable=False))
    at: datetime = _instant(index=True)
    known_at: datetime = _instant()
    kind: str
    customer: str | None = None
    stream: str | None = None
    campaign: str | None = None
    ip: str | None = None
    domain: str | None = None
    provider: str | None = None
    recipient_hash: str | None = None
    recipient_ref: str | None = None
    message_id: str | None = None
    category: str | None = None
    status: str | None = None
    reply_code: str | None = None
    text: str | None = None
    how: str | None = None
    count: int = 1


class EvidenceRow(SQLModel, table=True):
    """What was received, compressed with zlib, until `expires_at`."""

    __tablename__: ClassVar[str] = "evidence"
    id: int | None = _id()
    batch_id: int = Field(sa_column=Column(_Id, nullable=False, index=True))
    kind: str
    at: datetime = _instant()
    sha256: str
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    expires_at: datetime = _instant(index=True)


class ParkedRow(SQLModel, table=True):
    """Input that could not be understood, with its reason, until somebody has looked and said why it is settled."""

    __tablename__: ClassVar[str] = "parked"
    id: int | None = _id()
    batch_id: int = Field(sa_column=Column(_Id, nullable=False))
    collector: str
    place: str
    reason: str
    text: str
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    at: datetime = _instant(index=True)
    settled_at: datetime | None = _maybe_instant()
    settled_by: str | None = None
    settled_why: str | None = None


_NOT_LIFTED = text("lifted_at IS NULL")


class Suppression(SQLModel, table=True):
    """A recipient one customer must not mail again; the rows are their own history, lifting sets `lifted_at`.

    One row in force per customer, recipient, reason and stream. `stream` is empty for all streams.
    `batch_id` leads to the trace and evidence it arose from; None where a person or system asked for it.
    """

    __table_args__ = (
        Index("suppression_recipient", "customer", "recipient_ref"),
        Index("suppression_in_force", "customer", "recipient_ref", "reason", "stream", unique=True,
              sqlite_where=_NOT_LIFTED, postgresql_where=_NOT_LIFTED),
    )
    id: int | None = _id()
    customer: str
    recipient_ref: str
    reason: str  # hard_bounce | complaint | unsubscribe | manual
    stream: str = ""
    since: datetime = _instant()
    known_at: datetime = _instant()
    source: str
    how: str | None = None
    text: str | None = None
    batch_id: int | None = Field(default=None, sa_column=Column(_Id, nullable=True))
    lifted_at: datetime | None = _maybe_instant()
    lifted_by: str | None = None
    lift_reason: str | None = None


class Cursor(SQLModel, table=True):
    """Where a collector stands with a source; committed with the facts it stands for."""

    collector: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    value: dict[str, Any] = _json()
    updated_at: datetime = _instant()


class Run(SQLModel, table=True):
    """One execution of a collector. `outcome` is running, ok, partial (some targets unknown), failed."""

    __table_args__ = (Index("run_newest", "collector", "outcome", "id"),)
    id: int | None = _id()
    collector: str
    started_at: datetime = _instant(index=True)
    ended_at: datetime | None = _maybe_instant()
    outcome: str = "running"
    reason: str | None = None
    text: str | None = None
    batches: int = 0
    repeats: int = 0
    observations: int = 0
    unknowns: int = 0
    traces: int = 0
    parked: int = 0


class Job(SQLModel, table=True):
    """When a job runs next, and who runs it now. `fence` rises with every claim."""

    name: str = Field(primary_key=True)
    next_run: datetime = _instant()
    last_run: datetime | None = _maybe_instant()
    lease_owner: str | None = None
    lease_until: datetime | None = _maybe_instant()
    fence: int = 0


# ── judgement ────────────────────────────────────────────────────────────────────────────────────


_NOT_CLEARED = text("phase <> 'cleared'")


class Listing(SQLModel, table=True):
    """One interval of an IP or domain on one list, with hysteresis (monitor.listings).

    `phase` is suspected, listed or clearing, then cleared. At most one row per (target, dnsbl) is not
    cleared; none stands for what was never listed. Cleared without `confirmed_at`: it was never raised.
    """

    __table_args__ = (
        Index("listing_target", "target", "dnsbl"),
        Index("listing_open", "target", "dnsbl", unique=True, sqlite_where=_NOT_CLEARED,
              postgresql_where=_NOT_CLEARED),
    )
    id: int | None = _id()
    target: str
    dnsbl: str = Field(index=True)
    phase: str
    baseline: bool = False
    codes: list[str] = _json(list)
    hits: int = 1
    clean_answers: int = 0
    next_counts_at: datetime | None = _maybe_instant()  # answers before this come from the same cached TTL
    first_seen_at: datetime = _instant()
    last_seen_at: datetime = _instant()
    confirmed_at: datetime | None = _maybe_instant()
    cleared_at: datetime | None = _maybe_instant(index=True)
    asked_at: datetime = _instant()
    unknown_reason: str | None = None
    unknown_since: datetime | None = _maybe_instant()
    detail: dict[str, Any] = _json()


class Incident(SQLModel, table=True):
    """The history of one condition about one subject: pending, firing, recovering, then ended.

    `subject` names the group judged; `evidence` holds the newest numbers. Only one row per
    (rule, subject_key) is open: `open_key` is its subject while open, its id once ended.
    """

    __table_args__ = (UniqueConstraint("rule", "open_key"),)
    id: str = Field(primary_key=True)
    rule: str = Field(index=True)
    subject_key: str
    open_key: str
    subject: dict[str, str] = _json()
    state: str = Field(index=True)
    severity: str
    summary: str = ""
    evidence: dict[str, Any] = _json()
    elapsed_seconds: float = 0.0  # how long the running timer (`for` or `keep`) has counted
    counted_to: datetime | None = _maybe_instant()  # None while the last verdict was unknown
    unknown_reason: str | None = None
    started_at: datetime = _instant(index=True)
    fired_at: datetime | None = _maybe_instant()
    ended_at: datetime | None = _maybe_instant(index=True)
    judged_at: datetime = _instant()
    told_at: datetime | None = _maybe_instant()
    told_members: list[str] = _json(list)
    acked_by: str | None = None
    acked_at: datetime | None = _maybe_instant()
    ack_reason: str | None = None


class Suspension(SQLModel, table=True):
    """A brake: scope + effect + reason + expiry. Never deleted; lifting sets `lifted_at`."""

    id: str = Field(primary_key=True)
    scope: dict[str, str] = _json()
    scope_key: str = Field(index=True)
    effect: str  # hold | slow
    rate_per_hour: int | None = None
    rule: str | None = None
    incident_id: str | None = Field(default=None, index=True)
    member: str | None = None
    actor: str  # rule or operator's name
    text: str
    evidence: dict[str, Any] = _json()
    since: datetime = _instant()
    until: datetime | None = _maybe_instant(index=True)
    lifts_when: str | None = None
    lifted_at: datetime | None = _maybe_instant(index=True)
    lifted_by: str | None = None
    lift_reason: str | None = None


class FblEnrolment(SQLModel, table=True):
    """Our side of a provider's feedback loop (monitor.enrolments); every change of `state` leaves a transition."""

    __tablename__: ClassVar[str] = "fbl_enrolment"
    provider: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)  # ip | domain | account
    subject: str = Field(primary_key=True)  # an address or network, a domain, a name
    state: str  # wanted | requested | active | lapsed | refused
    contact: str = ""
    note: str = ""
    requested_at: datetime | None = _maybe_instant()
    active_at: datetime | None = _maybe_instant()
    ends_at: datetime | None = _maybe_instant()
    updated_at: datetime = _instant()


class AbuseCase(SQLModel, table=True):
    """What was reported to our abuse desk of one customer or source (monitor.abuse): who has to act, until when.

    Notes, assignments and changes of state are its transitions. `batches` are those of the reports: they lead to
    traces and evidence.
    """

    __tablename__: ClassVar[str] = "abuse_case"
    id: str = Field(primary_key=True)
    customer: str | None = Field(default=None, index=True)
    kind: str  # spam | phishing | malware | copyright | other
    state: str = Field(index=True)  # open | waiting_customer | waiting_provider | closed
    source: str | None = None  # the IP or domain of ours it came from
    reporter: str | None = None  # the domain that wrote first
    subject: str = ""
    assignee: str | None = None
    reports: int = 1
    batches: list[int] = _json(list)
    opened_at: datetime = _instant(index=True)
    newest_at: datetime = _instant()
    deadline_at: datetime = _instant()
    closed_at: datetime | None = _maybe_instant()


class Transition(SQLModel, table=True):
    """Every change of an incident, suspension or listing. The highest `id` is the version of the gate."""

    id: int | None = _id()
    at: datetime = _instant(index=True)
    kind: str  # incident | suspension | silence | listing | enrolment | abuse_case
    of: str = Field(index=True)  # the id of what changed; of a listing `target@dnsbl`
    old: str
    new: str
    why: str
    actor: str
    rule: str | None = None
    evidence: dict[str, Any] = _json()


class Outbox(SQLModel, table=True):
    """A message to one receiver, written in the transaction that made it due.

    `key` makes it once per (incident, event, receiver). `state` is waiting, sent, given_up, needless.
    """

    id: int | None = _id()
    key: str = Field(unique=True)
    incident_id: str = Field(index=True)
    receiver: str
    event: str  # firing | grown | resolved
    severity: str
    title: str
    body: str
    created_at: datetime = _instant()
    state: str = Field(default="waiting", index=True)
    attempts: int = 0
    next_attempt_at: datetime = _instant()
    lease_owner: str | None = None
    lease_until: datetime | None = _maybe_instant()
    sent_at: datetime | None = _maybe_instant()
    last_error: str | None = None


class Silence(SQLModel, table=True):
    """Matching incidents are judged but not told from `since` to `until`."""

    id: str = Field(primary_key=True)
    matchers: dict[str, str] = _json()
    actor: str
    reason: str
    since: datetime = _instant()
    until: datetime = _instant(index=True)
    ended_at: datetime | None = _maybe_instant()


class ApiKey(SQLModel, table=True):
    """A caller's key as SHA-256 of its secret part (256 random bits: no salt needed)."""

    __tablename__: ClassVar[str] = "api_key"
    id: str = Field(primary_key=True)
    name: str
    sha256: str = Field(unique=True)
    scopes: list[str] = _json(list)
    customer: str | None = None
    created_at: datetime = _instant()
    revoked_at: datetime | None = _maybe_instant()


class Setting(SQLModel, table=True):
    """A value this store made for itself once (the recipient HMAC key when none is configured)."""

    name: str = Field(primary_key=True)
    value: str
