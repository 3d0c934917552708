"""How warm-ups, plans, grants and returns are printed."""

from __future__ import annotations

from datetime import datetime

from monitor.warmup.standing import Standing
from monitor.wire import Wire


class WarmUpLine(Wire):
    """A line of `vigie warmup show --json`. `cap` and `left` null: it is warm, nothing is limited."""

    ip: str | None
    domain: str | None
    provider: str
    plan: str
    step: int
    standing: Standing
    cap: int | None
    used: int
    granted: int
    left: int | None
    resets_at: datetime


class StandingLine(WarmUpLine):
    """The same with what stands beside it: its id, the steps of its plan, where overflow goes, why a person is needed."""

    id: str
    steps: int
    pool: str | None
    needs: str | None


class AllowanceLine(Wire):
    """An allowance as a grant or a return says it."""

    id: str
    scope: dict[str, str]
    cap: int
    left: int
    resets_at: datetime


class GrantAnswer(Wire):
    """What was reserved. `grant` null: nothing had to be, or nothing is left (`retry_after_seconds`, `pool`)."""

    grant: str | None
    granted: int
    expires_at: datetime | None
    retry_after_seconds: int | None
    pool: str | None
    allowances: list[AllowanceLine]


class ReturnAnswer(Wire):
    """What came back. `late`: it had expired, so nothing does."""

    grant: str
    granted: int
    used: int
    returned: int
    late: bool
    allowances: list[AllowanceLine]


class PlanLine(Wire):
    """A plan."""

    name: str
    per_day: tuple[int, ...]
    source: str
    note: str
