"""What the service needs to go on where it stopped: cursors, runs, leases, keys, settings."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from monitor.database.tables.columns import instant, json_column, maybe_instant, row_id


class Cursor(SQLModel, table=True):
    """Where a collector stands with a source; committed with the facts it stands for."""

    collector: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    value: dict[str, Any] = json_column()
    updated_at: datetime = instant()


class Run(SQLModel, table=True):
    """One execution of a collector. `outcome`: monitor.facts.runs.Outcome."""

    __table_args__ = (Index("run_newest", "collector", "outcome", "id"),)
    id: int | None = row_id()
    collector: str
    started_at: datetime = instant(index=True)
    ended_at: datetime | None = maybe_instant()
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
    next_run: datetime = instant()
    last_run: datetime | None = maybe_instant()
    lease_owner: str | None = None
    lease_until: datetime | None = maybe_instant()
    fence: int = 0


class ApiKey(SQLModel, table=True):
    """A caller's key as SHA-256 of its secret part (256 random bits: no salt needed)."""

    __tablename__: ClassVar[str] = "api_key"
    id: str = Field(primary_key=True)
    name: str
    sha256: str = Field(unique=True)
    scopes: list[str] = json_column(list)
    customer: str | None = None
    created_at: datetime = instant()
    revoked_at: datetime | None = maybe_instant()


class Setting(SQLModel, table=True):
    """A value this store made for itself once (the recipient HMAC key when none is configured)."""

    name: str = Field(primary_key=True)
    value: str
