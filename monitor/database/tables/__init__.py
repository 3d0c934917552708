"""Every row Vigie keeps, as SQLModel tables; the same on SQLite and PostgreSQL.

Two times stand in the facts: `at` (what the fact is about) and `known_at` (when we learnt it). Facts are
append-only; control rows change, and every change that matters leaves a `Transition`.
Instants are aware UTC everywhere in Python: integer microseconds in SQLite, timestamptz in PostgreSQL.
"""

from monitor.database.tables.abuse_case import AbuseCase
from monitor.database.tables.columns import EPOCH, Instant, digest_bytes, from_micros, to_micros
from monitor.database.tables.facts import (
    FOLLOWED,
    FOLLOWED_KINDS,
    BatchRow,
    CountedRow,
    Daily,
    EvidenceRow,
    Hourly,
    Latest,
    ParkedRow,
    Reading,
    RecordKey,
    RollupDue,
    Series,
    TraceRow,
)
from monitor.database.tables.fbl_enrolment import FblEnrolment
from monitor.database.tables.inventory import (
    Customer,
    MailboxProvider,
    Pool,
    ReportMailbox,
    Seed,
    SendingDomain,
    SendingIp,
    Stream,
)
from monitor.database.tables.judgement import (
    Incident,
    IncidentLink,
    JudgedRule,
    Listing,
    Outbox,
    Silence,
    Suspension,
    Transition,
    VerdictRow,
)
from monitor.database.tables.recovery import Recovery, ShadowSuspension
from monitor.database.tables.service import ApiKey, Cursor, Job, Run, Setting
from monitor.database.tables.suppression import Suppression
from monitor.database.tables.warm_up import AllowanceAnswer, AllowanceGrant, AllowancePart, WarmUp, WarmUpDay

# Whose rows are committed in the order of their ids, so that they can be followed (monitor.facts.following).
IN_ORDER = frozenset({Transition})

__all__ = [
    "EPOCH",
    "FOLLOWED",
    "FOLLOWED_KINDS",
    "IN_ORDER",
    "PROSE",
    "AbuseCase",
    "AllowanceAnswer",
    "AllowanceGrant",
    "AllowancePart",
    "ApiKey",
    "BatchRow",
    "CountedRow",
    "Cursor",
    "Customer",
    "Daily",
    "EvidenceRow",
    "FblEnrolment",
    "Hourly",
    "Incident",
    "IncidentLink",
    "Instant",
    "Job",
    "JudgedRule",
    "Latest",
    "Listing",
    "MailboxProvider",
    "Outbox",
    "ParkedRow",
    "Pool",
    "Reading",
    "RecordKey",
    "Recovery",
    "ReportMailbox",
    "RollupDue",
    "Run",
    "Seed",
    "SendingDomain",
    "SendingIp",
    "Series",
    "Setting",
    "ShadowSuspension",
    "Silence",
    "Stream",
    "Suppression",
    "Suspension",
    "TraceRow",
    "Transition",
    "VerdictRow",
    "WarmUp",
    "WarmUpDay",
    "digest_bytes",
    "from_micros",
    "to_micros",
]

# what people and strangers write in free words: mail addresses in it are kept as hashes (database.recipient_keys)
PROSE: dict[type, tuple[str, ...]] = {
    AbuseCase: ("subject",),
    FblEnrolment: ("note",),
    Incident: ("summary", "ack_reason"),
    ParkedRow: ("settled_why",),
    Silence: ("reason",),
    Suppression: ("text", "lift_reason"),
    Suspension: ("text", "lift_reason"),
    Transition: ("why",),
    VerdictRow: ("summary",),
    WarmUp: ("reason",),
}
