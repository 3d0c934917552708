"""How mail that a rule held comes back, and what rules in shadow would have held."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from monitor.database.tables.columns import instant, json_column, maybe_instant


class Recovery(SQLModel, table=True):
    """The way back of one scope that a rule held: its stage since when, and what restricts it in it (`suspension_id`).

    `group_key`: of the verdict it goes by. Rates are messages an hour: `usual` before the hold, `good` the last that was shown to
    do no harm, `rate` what is allowed now. Never deleted while it lasts; `ended_at` when all is as before.
    """

    id: str = Field(primary_key=True)
    rule: str
    ladder: str
    scope: dict[str, str] = json_column()
    scope_key: str = Field(index=True)
    group_key: str
    incident_id: str
    suspension_id: str
    stage: str  # monitor.restrictions.recovery.Stage
    since: datetime = instant()
    began_at: datetime = instant()
    ended_at: datetime | None = maybe_instant(index=True)
    first_hold_seconds: int
    usual_per_hour: int | None = None
    good_per_hour: int | None = None
    rate_per_hour: int | None = None
    connections: int | None = None
    relapses: int = 0
    called_at: datetime | None = maybe_instant()
    overridden_until: datetime | None = maybe_instant()
    overridden_by: str | None = None
    override_reason: str | None = None


class ShadowSuspension(SQLModel, table=True):
    """A suspension that was not put on, for its rule or all of automation is in shadow (`why_not`). In force nowhere."""

    __tablename__ = "shadow_suspension"
    id: str = Field(primary_key=True)
    rule: str
    group_key: str
    member: str
    scope: dict[str, str] = json_column()
    effect: str
    rate_per_hour: int | None = None
    text: str
    why_not: str
    since: datetime = instant()
    until: datetime | None = maybe_instant()
    ended_at: datetime | None = maybe_instant(index=True)
