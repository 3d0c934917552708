"""How long each kind of row is kept, which stay longer because something still rests on them, and what never goes.

Every table stands here: in `KINDS` with the setting that limits it (config.settings.Retention), or in `FOR_EVER` with
the reason. Who removes them is monitor.facts.retention; README.md shows the same as one table, held by a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, exists, false, func, or_, select
from sqlmodel import SQLModel, col

from monitor.config.settings import Retention
from monitor.database.engine import table
from monitor.database.partitions import part_start
from monitor.database.tables import (
    AbuseCase,
    AllowanceAnswer,
    AllowanceGrant,
    AllowancePart,
    ApiKey,
    BatchRow,
    CountedRow,
    Cursor,
    Customer,
    Daily,
    EvidenceRow,
    FblEnrolment,
    Hourly,
    Incident,
    IncidentLink,
    Job,
    JudgedRule,
    Latest,
    Listing,
    MailboxProvider,
    Outbox,
    ParkedRow,
    Pool,
    Reading,
    RecordKey,
    Recovery,
    ReportMailbox,
    RollupDue,
    Run,
    Seed,
    SendingDomain,
    SendingIp,
    Series,
    Setting,
    ShadowSuspension,
    Silence,
    Stream,
    Suppression,
    Suspension,
    TraceRow,
    Transition,
    VerdictRow,
    WarmUp,
    WarmUpDay,
)


class Kind(NamedTuple):
    """One kind of row. Its time counts from `since`; NULL there: it does not count yet.

    `unless` keeps a row longer, `longer` says so in words. Kinds with a `month` go by whole months (or years).
    """

    name: str  # as `vigie db prune` counts it
    model: type[SQLModel]
    setting: str  # a field of Retention
    since: ColumnElement[datetime]
    longer: str = ""
    unless: ColumnElement[bool] = false()
    month: bool = False


def _time(model: type[SQLModel], *names: str) -> ColumnElement[datetime]:
    """The first of these columns that says something."""
    columns: list[ColumnElement[datetime]] = [table(model).c[name] for name in names]
    return columns[0] if len(columns) == 1 else func.coalesce(*columns)


def _newest(model: type[SQLModel]) -> ColumnElement[bool]:
    """The highest number given out: followers compare with it, and SQLite would give it to another row."""
    other = table(model).alias()
    return table(model).c.id == select(func.max(other.c.id)).scalar_subquery()


def _newest_change_of_a_suspension() -> ColumnElement[bool]:
    """Its number is the version of the gate, which only rises."""
    other = table(Transition).alias()
    newest = select(func.max(other.c.id)).where(other.c.kind == "suspension").scalar_subquery()
    return col(Transition.id) == newest


def _newer_run() -> ColumnElement[bool]:
    newer = table(Run).alias()
    return exists().where(
        newer.c.collector == col(Run.collector), newer.c.outcome == col(Run.outcome), newer.c.id > col(Run.id)
    )


def _of_open_incident(incident_id: ColumnElement[str]) -> ColumnElement[bool]:
    return exists().where(col(Incident.id) == incident_id, col(Incident.ended_at).is_(None))


def _is_there() -> ColumnElement[bool]:
    """Whether what a transition is about is still in the database; of listings: not cleared."""
    named = col(Transition.of)
    listed = select(col(Listing.target) + "@" + col(Listing.dnsbl)).where(col(Listing.phase) != "cleared")
    return or_(
        *(exists().where(table(model).c.id == named) for model in (Incident, Suspension, Silence, AbuseCase, WarmUp, Recovery)),
        named.in_(listed),
        col(Transition.kind) == "enrolment",  # of an enrolment, and these stay
    )


KINDS = (
    Kind("reading", Reading, "readings", _time(Reading, "at"), "to the end of its month", month=True),
    Kind("reading_hourly", Hourly, "hourly", _time(Hourly, "start"), "to the end of its month", month=True),
    Kind("reading_daily", Daily, "daily", _time(Daily, "start"), "to the end of its year", month=True),
    Kind("trace", TraceRow, "traces", _time(TraceRow, "at"), "to the end of its month", month=True),
    Kind("evidence", EvidenceRow, "evidence", _time(EvidenceRow, "expires_at"), "of open abuse cases"),
    Kind("parked", ParkedRow, "parked", _time(ParkedRow, "settled_at")),
    Kind("parked_unsettled", ParkedRow, "parked_unsettled", _time(ParkedRow, "at"),
         unless=col(ParkedRow.settled_at).is_not(None)),
    Kind("batch", BatchRow, "batches", _time(BatchRow, "known_at"), "the newest", _newest(BatchRow)),
    Kind("record_key", RecordKey, "records", _time(RecordKey, "known_at")),
    Kind("run", Run, "runs", _time(Run, "started_at"), "the newest of a collector and outcome", ~_newer_run()),
    Kind("incident", Incident, "incidents", _time(Incident, "ended_at"),
         "open ones; those with a suspension in force or a notification that waits",
         or_(exists().where(col(Suspension.incident_id) == col(Incident.id), col(Suspension.lifted_at).is_(None)),
             exists().where(col(Outbox.incident_id) == col(Incident.id), col(Outbox.state) == "waiting"))),
    Kind("incident_link", IncidentLink, "incidents", _time(IncidentLink, "at"), "as long as what followed is there",
         exists().where(col(Incident.id) == col(IncidentLink.effect_id))),
    Kind("suspension", Suspension, "suspensions", _time(Suspension, "lifted_at"), "those in force; those of open incidents",
         _of_open_incident(table(Suspension).c.incident_id)),
    Kind("recovery", Recovery, "suspensions", _time(Recovery, "ended_at"), "those that last"),
    Kind("shadow_suspension", ShadowSuspension, "suspensions", _time(ShadowSuspension, "ended_at"), "those that would be in force"),
    Kind("silence", Silence, "silences", _time(Silence, "ended_at", "until"), "those in force"),
    Kind("listing", Listing, "listings", _time(Listing, "cleared_at"), "those not cleared"),
    Kind("abuse_case", AbuseCase, "abuse_cases", _time(AbuseCase, "closed_at"), "open ones"),
    Kind("outbox", Outbox, "notifications", _time(Outbox, "sent_at", "created_at"),
         "those that wait; those of open incidents",
         or_(col(Outbox.state) == "waiting", _of_open_incident(table(Outbox).c.incident_id))),
    Kind("transition", Transition, "transitions", _time(Transition, "at"), "as long as what changed is there; the newest",
         or_(_is_there(), _newest(Transition), _newest_change_of_a_suspension())),
    Kind("suppression", Suppression, "suppressions", _time(Suppression, "lifted_at"), "those in force; the newest",
         _newest(Suppression)),
    Kind("api_key", ApiKey, "keys", _time(ApiKey, "revoked_at"), "those that have not ended"),
)  # fmt: skip  # in this order: what is pruned first may set free what comes after


def ends_at(kind: Kind, now: datetime, retention: Retention) -> datetime:
    """Rows of this kind whose time counts from before this have been kept for long enough."""
    if kind.name == "evidence":
        return now  # carries its own expiry
    keep: timedelta = getattr(retention, kind.setting)
    before = now - keep
    return part_start(kind.name, before) if kind.month else before


# the batches of reports somebody has yet to act on: their evidence stays
BATCHES_OF_OPEN_CASES = select(table(AbuseCase).c.batches).where(table(AbuseCase).c.closed_at.is_(None))

_INVENTORY = "inventory: goes when it is taken out of there"
FOR_EVER: Mapping[type[SQLModel], str] = {
    **dict.fromkeys((
        Customer, Stream, Pool, SendingIp, SendingDomain, MailboxProvider, Seed,
        ReportMailbox,
    ), _INVENTORY),
    Series: "goes with its last roll-up",
    Latest: "one row a state: what holds, holds until something else is known",
    RollupDue: "work to be done: gone once it is",
    CountedRow: "what a batch added to the counts, for whoever follows them: gone after a quarter of an hour",
    Cursor: "one row a source: without it everything there would be read and counted again",
    Job: "one row a job, with its lease",
    VerdictRow: "one row a rule and group: gone two weeks after the last was known of the group",
    JudgedRule: "one row a configured rule",
    FblEnrolment: "one row a feedback loop: what is agreed with its provider",
    WarmUp: "one row a warm-up that was begun",
    WarmUpDay: "one row a warm-up and day on which mail was sent: what the plan is drawn against",
    AllowanceGrant: "what a sender reserved: gone a week after it expired",
    AllowancePart: "gone with its grant",
    AllowanceAnswer: "what a call with an idempotency key was answered: gone after a day",
    Setting: "a few values Vigie made for itself; how many series a day has made, until the next prune",
}  # fmt: skip
