"""What was made of the facts: listings, incidents, suspensions, and every change of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from monitor.database.tables.columns import instant, json_column, maybe_instant, row_id

_NOT_CLEARED = text("phase <> 'cleared'")


class Listing(SQLModel, table=True):
    """One interval of an IP or domain on one list, with hysteresis (monitor.listings.intervals).

    `phase` is suspected, listed or clearing, then cleared. At most one row per (target, dnsbl) is not
    cleared; none stands for what was never listed. Cleared without `confirmed_at`: it was never raised.
    """

    __table_args__ = (
        Index("listing_target", "target", "dnsbl"),
        Index("listing_open", "target", "dnsbl", unique=True, sqlite_where=_NOT_CLEARED,
              postgresql_where=_NOT_CLEARED),
    )
    id: int | None = row_id()
    target: str
    dnsbl: str = Field(index=True)
    phase: str
    baseline: bool = False
    codes: list[str] = json_column(list)
    hits: int = 1
    clean_answers: int = 0
    next_counts_at: datetime | None = maybe_instant()  # answers before this come from the same cached TTL
    first_seen_at: datetime = instant()
    last_seen_at: datetime = instant()
    confirmed_at: datetime | None = maybe_instant()
    cleared_at: datetime | None = maybe_instant(index=True)
    ended_reason: str | None = None  # of one that ended otherwise than by clean answers
    checked_at: datetime = instant()
    unknown_reason: str | None = None
    unknown_since: datetime | None = maybe_instant()
    detail: dict[str, Any] = json_column()


class Incident(SQLModel, table=True):
    """The history of one condition about one subject: pending, firing, recovering, then ended.

    `subject` names the group judged; `evidence` the numbers of its worst moment. Only one row per
    (rule, subject_key) is open: `open_key` is its subject while open, its id once ended.

    What has one cause is one incident with members: of that one `rule` is the cause, and `member_count` how many have not ended (None:
    an incident of a rule). `part_of`: the incident that this is a member of, since `joined_at` until it ends.
    """

    __table_args__ = (UniqueConstraint("rule", "open_key"),)
    id: str = Field(primary_key=True)
    rule: str = Field(index=True)
    subject_key: str
    open_key: str
    subject: dict[str, str] = json_column()
    state: str = Field(index=True)
    severity: str
    summary: str = ""
    evidence: dict[str, Any] = json_column()
    unknown_reason: str | None = None
    started_at: datetime = instant(index=True)
    fired_at: datetime | None = maybe_instant()
    ended_at: datetime | None = maybe_instant(index=True)
    judged_at: datetime = instant()
    notified_at: datetime | None = maybe_instant()
    notified_members: list[str] = json_column(list)
    acked_by: str | None = None
    acked_at: datetime | None = maybe_instant()
    ack_reason: str | None = None
    ack_until: datetime | None = maybe_instant()  # None: until it ends or worsens
    part_of: str | None = Field(default=None, index=True)
    joined_at: datetime | None = maybe_instant()
    member_count: int | None = None


class IncidentLink(SQLModel, table=True):
    """An incident that followed from another (monitor.incidents.chain): why that is thought, and by what evidence."""

    __tablename__ = "incident_link"
    __table_args__ = (UniqueConstraint("cause_id", "effect_id"),)
    id: int | None = row_id()
    cause_id: str
    effect_id: str = Field(index=True)
    at: datetime = instant()
    why: str
    evidence: dict[str, Any] = json_column()


class VerdictRow(SQLModel, table=True):
    """What a rule says of one group, and the state that follows: the one place where both are read.

    `key`: the group as a text. `since`: that it is in this state; `judged_at`: that the row was last written;
    `heard_at`: that something was last known of the group. The timer of pending and recovering has counted
    `elapsed_seconds`, to `counted_until` (None while it is frozen).
    """

    __tablename__ = "verdict"
    rule: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    subject: dict[str, str] = json_column()
    labels: dict[str, str] = json_column()
    state: str
    answer: str
    reason: str | None = None
    severity: str
    summary: str = ""
    evidence: dict[str, Any] = json_column()
    since: datetime = instant()
    elapsed_seconds: float = 0.0
    counted_until: datetime | None = maybe_instant()
    heard_at: datetime | None = maybe_instant()
    judged_at: datetime = instant()


class JudgedRule(SQLModel, table=True):
    """A rule as it was last judged. `gaps`: seconds between its last judgements, the newest last; `error`: why it could not be."""

    __tablename__ = "judged_rule"
    rule: str = Field(primary_key=True)
    condition: str
    signal: str
    mode: str
    severity: str
    judged_at: datetime = instant()
    gaps: list[float] = json_column(list)
    error: str | None = None


class Suspension(SQLModel, table=True):
    """What is held or slowed: scope + effect + reason + expiry. Never deleted; lifting sets `lifted_at`."""

    id: str = Field(primary_key=True)
    scope: dict[str, str] = json_column()
    scope_key: str = Field(index=True)
    effect: str  # hold | slow
    rate_per_hour: int | None = None
    connections: int | None = None  # of a slow one: at once, at most
    probe: float | None = None  # of a hold: the share of its messages that is let through, to be judged by
    rule: str | None = None
    incident_id: str | None = Field(default=None, index=True)
    member: str | None = None
    actor: str  # rule or operator's name
    text: str
    evidence: dict[str, Any] = json_column()
    since: datetime = instant()
    until: datetime | None = maybe_instant(index=True)
    lifts_when: str | None = None
    lifted_at: datetime | None = maybe_instant(index=True)
    lifted_by: str | None = None
    lift_reason: str | None = None
    by_customer: str | None = None  # the customer whose key put it on; None: rules and the provider's own people
    lifted_by_customer: str | None = None  # the customer whose key lifted what was not its own


class Transition(SQLModel, table=True):
    """Every change of an incident, suspension or listing. The highest `id` of a suspension's is the version of the gate."""

    id: int | None = row_id()
    at: datetime = instant(index=True)
    kind: str  # monitor.database.transitions.TransitionKind
    of: str = Field(index=True)  # the id of what changed; of a listing `target@dnsbl`
    old: str
    new: str
    why: str
    actor: str
    rule: str | None = None
    evidence: dict[str, Any] = json_column()


class Outbox(SQLModel, table=True):
    """A message to one receiver, written in the transaction that made it due.

    `key` makes it once per (incident, event, receiver); `event` is a notify.message.Event, `state` a notify.outbox.OutboxState.
    Rows of one receiver and `group_key` that are due go out as one message; `message_key` names the message a row went, or is
    going, out in, so that it is the same message when it is tried again. `details`: labels and figures, as
    monitor.notify.message.details writes them. `thread`: where the chat keeps the message, for what follows it.
    """

    __table_args__ = (Index("outbox_group", "receiver", "group_key"),)
    id: int | None = row_id()
    key: str = Field(unique=True)
    incident_id: str = Field(index=True)
    receiver: str
    event: str
    severity: str
    title: str
    body: str
    group_key: str = ""
    message_key: str | None = Field(default=None, index=True)
    details: dict[str, Any] = json_column()
    thread: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON, nullable=True))
    created_at: datetime = instant()
    state: str = Field(default="waiting", index=True)
    attempts: int = 0
    next_attempt_at: datetime = instant()
    lease_owner: str | None = None
    lease_until: datetime | None = maybe_instant()
    sent_at: datetime | None = maybe_instant()
    last_error: str | None = None


class Silence(SQLModel, table=True):
    """Matching incidents are judged but not notified from `since` to `until`.

    `matchers` are the equalities; `patterns` the other matchers as they are written (`rule=~"ip-.*"`). All must match.
    `schedule`: the hours within, as monitor.incidents.schedule has them; None: all of them.
    """

    id: str = Field(primary_key=True)
    matchers: dict[str, str] = json_column()
    patterns: list[str] = json_column(list)
    schedule: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON, nullable=True))
    actor: str
    reason: str
    since: datetime = instant()
    until: datetime = instant(index=True)
    ended_at: datetime | None = maybe_instant()
