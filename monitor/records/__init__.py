"""Every row Vigie keeps, as SQLModel tables; the same on SQLite and PostgreSQL.

Two times stand in the facts: `at` (what the fact is about) and `known_at` (when we learnt it). Facts are
append-only; control rows change, and every change that matters leaves a `Transition`.
Instants are aware UTC everywhere in Python: integer microseconds in SQLite, timestamptz in PostgreSQL.
"""

from monitor.records.columns import EPOCH, Instant, from_micros, to_micros
from monitor.records.desk import AbuseCase, FblEnrolment, Suppression
from monitor.records.facts import (
    BatchRow,
    Daily,
    EvidenceRow,
    Hourly,
    Latest,
    ParkedRow,
    Reading,
    RollupDue,
    Series,
    TraceRow,
)
from monitor.records.inventory import (
    Customer,
    MailboxProvider,
    Pool,
    ReportMailbox,
    Seed,
    SendingDomain,
    SendingIp,
    Stream,
)
from monitor.records.judgement import Incident, Listing, Outbox, Silence, Suspension, Transition
from monitor.records.service import ApiKey, Cursor, Job, Run, Setting

__all__ = [
    "EPOCH",
    "AbuseCase",
    "ApiKey",
    "BatchRow",
    "Cursor",
    "Customer",
    "Daily",
    "EvidenceRow",
    "FblEnrolment",
    "Hourly",
    "Incident",
    "Instant",
    "Job",
    "Latest",
    "Listing",
    "MailboxProvider",
    "Outbox",
    "ParkedRow",
    "Pool",
    "Reading",
    "ReportMailbox",
    "RollupDue",
    "Run",
    "Seed",
    "SendingDomain",
    "SendingIp",
    "Series",
    "Setting",
    "Silence",
    "Stream",
    "Suppression",
    "Suspension",
    "TraceRow",
    "Transition",
    "from_micros",
    "to_micros",
]
