"""Warm-ups, their days, and what senders have reserved of a day's allowance."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from monitor.database.tables.columns import instant, json_column, maybe_instant

_OPEN = text("used IS NULL")


class WarmUp(SQLModel, table=True):
    """An IP or domain at a provider, from the start of its warm-up until it is stopped; while warm it has no cap.

    Its id is that of its allowance. `per_day` and `zone` are those it was started with. Of today (`day`, a local date):
    `returned` is what senders gave back as used, `recorded` what records say was sent. `judged_day` is the last day that was
    closed, `sent_day` the last with mail. In a row: `stuck_days` sending days without a step forward, `waiting_days` days used
    up with nowhere for the rest. `needs` says why a person is called, since `needs_at`. `changed_at` and
    `changes` (how many there were): for whoever follows.
    `overflow`: the pool for the rest; `used_up_day`: the last day nothing was left on.
    """

    __tablename__: ClassVar[str] = "warm_up"
    id: str = Field(primary_key=True)
    ip: str | None = None
    domain: str | None = None
    provider: str
    open_key: str = Field(unique=True)  # what it is about while it goes on, its id once stopped
    plan: str
    per_day: list[int] = json_column(list)
    zone: str
    overflow: str | None = None
    standing: str
    step: int
    day: str
    returned: int = 0
    recorded: int = 0
    judged_day: str
    sent_day: str
    used_up_day: str | None = None
    evidence_since: datetime = instant()
    stuck_days: int = 0
    waiting_days: int = 0
    needs: str | None = None
    needs_at: datetime | None = maybe_instant()
    actor: str
    reason: str
    started_at: datetime = instant()
    stopped_at: datetime | None = maybe_instant()
    changed_at: datetime = instant(index=True)
    changes: int = 0


class WarmUpDay(SQLModel, table=True):
    """A day of a warm-up that is over: what was allowed, sent and delivered, and what followed. One row each, written once."""

    __tablename__: ClassVar[str] = "warm_up_day"
    warm_up: str = Field(primary_key=True)
    day: str = Field(primary_key=True)
    standing: str
    step: int
    cap: int | None = None
    returned: int = 0
    recorded: int = 0
    delivered: int | None = None
    was: str
    move: str
    why: str
    figures: dict[str, Any] = json_column()
    judged_at: datetime = instant()


class AllowanceGrant(SQLModel, table=True):
    """Messages one sender reserved. `used` is None until it is returned; `answer` is what the return was answered."""

    __tablename__: ClassVar[str] = "allowance_grant"
    id: str = Field(primary_key=True)
    customer: str
    sender: str
    granted: int
    granted_at: datetime = instant()
    expires_at: datetime = instant(index=True)
    used: int | None = None
    answer: dict[str, Any] = json_column()


class AllowancePart(SQLModel, table=True):
    """What a grant took of one allowance, on which of its days."""

    __tablename__: ClassVar[str] = "allowance_part"
    __table_args__ = (
        Index("allowance_part_open", "warm_up", "expires_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("allowance_part_day", "warm_up", "day"),
    )
    grant_id: str = Field(primary_key=True)
    warm_up: str = Field(primary_key=True)
    day: str
    granted: int
    expires_at: datetime = instant()
    used: int | None = None


class AllowanceAnswer(SQLModel, table=True):
    """What a call with an idempotency key was answered; `body` is the hash of what it asked."""

    __tablename__: ClassVar[str] = "allowance_answer"
    key: str = Field(primary_key=True)
    body: str
    answer: dict[str, Any] = json_column()
    at: datetime = instant(index=True)
