"""Warm-ups: how each stands, what is left today, and each day that is over drawn against its plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup
from sqlmodel import Session

from monitor.console.page import Visit
from monitor.database.tables import WarmUpDay
from monitor.warmup.chart import Actual, actual_svg
from monitor.warmup.rows import Allowance, days_of, going_on, plans_of
from monitor.warmup.standing import DayWas

_MOST = 200  # warm-ups on the page: those that need a person first
_MOST_DRAWN, _MOST_DAYS = 40, 60
_TONES = {DayWas.GOOD: "ok", DayWas.SHORT: "info", DayWas.UNKNOWN: "info", DayWas.BAD: "critical", DayWas.IDLE: "ended", DayWas.FORGOTTEN: "ended"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A warm-up, its newest days, and the picture of them (None: no day is over yet, or too many warm-ups go on)."""

    row: Allowance
    days: Sequence[WarmUpDay]
    picture: Markup | None


def warm_ups(visit: Visit) -> dict[str, object]:
    """How each stands, those that need a person first."""
    shown, count = visit.look(lambda session: _shown(session, visit.now))
    return {"warm_ups": shown, "count": count}


def _shown(session: Session, now: datetime) -> tuple[list[Shown], int]:
    rows = sorted(going_on(session, now), key=lambda row: (row.needs is None, row.cap is None))
    chosen = rows[:_MOST]
    ids = [row.id for row in chosen]
    days, plans = days_of(session, ids), plans_of(session, ids)
    drawn = set(ids[:_MOST_DRAWN])
    return [
        Shown(row, newest, _picture(row, plans[row.id], newest) if newest and row.id in drawn else None)
        for row in chosen for newest in (days.get(row.id, [])[-_MOST_DAYS:],)
    ], len(rows)  # fmt: skip


def _picture(row: Allowance, per_day: Sequence[int], days: Sequence[WarmUpDay]) -> Markup:
    drawn = [
        Actual(day.day[5:], day.step, day.cap, max(day.returned, day.recorded), day.delivered, _TONES[DayWas(day.was)]) for day in days
    ]
    title = f"{row.ip or row.domain} at {row.provider}: sent on each sending day, against the cap"
    return Markup(actual_svg(per_day, drawn, title))  # noqa: S704 - made here, and escapes what it is given
