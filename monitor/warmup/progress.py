"""A day that is over moves a warm-up: once, with a reason, in one transaction. And what was recorded of today.

Nothing here commits. The row is held while it moves, and `judged_day` says which days are done: a second process, or the same
one after a crash, finds nothing left to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sqlmodel import Session, col, func, select

from monitor.database.tables import AllowancePart, WarmUp, WarmUpDay
from monitor.warmup.allowances import MOST_COUNT
from monitor.warmup.days import day_at, ends_at
from monitor.warmup.rows import log, overflow_fault, place_of, scope_of, today_of, touch, words_of
from monitor.warmup.signals import Evidence, Judged, judge_day
from monitor.warmup.standing import DayWas, Move, Place, Standing, after, cap_of

ACTOR = "warm-up"
WAITING_DAYS = 2  # days in a row used up with nowhere for the rest, and a person is called
MOST_DAYS = 400  # closed at once, after a long stop


@dataclass(frozen=True, slots=True)
class Patience:
    """How many idle days make a provider forget, and how many sending days without a step forward call a person."""

    rests_after_days: int = 30
    stuck_after: int = 5


def due(session: Session, now: datetime) -> list[tuple[WarmUp, list[date]]]:
    """Those with days that are over and not closed yet, and these days, the oldest first."""
    rows = session.exec(select(WarmUp).where(col(WarmUp.stopped_at).is_(None))).all()
    return [(row, days) for row in rows if (days := _days_due(row, now))]


def _days_due(row: WarmUp, now: datetime) -> list[date]:
    first, today = date.fromisoformat(row.judged_day) + timedelta(days=1), day_at(now, row.zone)
    return [first + timedelta(days=number) for number in range(min((today - first).days, MOST_DAYS))]


def close_day(
    session: Session, warm_up: str, day: date, evidence: Evidence, patience: Patience, *, now: datetime
) -> WarmUp | None:
    """Judge a day, and move the warm-up, which is returned; None where it was closed before, or the warm-up was stopped meanwhile.

    `evidence.sent` is by records; what was returned of the day's grants is added here.
    """
    row = session.exec(
        select(WarmUp).where(WarmUp.id == warm_up).with_for_update().execution_options(populate_existing=True)
    ).one()
    if row.stopped_at is not None or row.judged_day >= day.isoformat():
        return None
    returned, recorded = _returned(session, row, day), evidence.sent
    idle = (day - date.fromisoformat(row.sent_day)).days
    known = replace(evidence, sent=max(recorded, returned), idle_days=idle)
    place, steps = place_of(row), len(row.per_day)
    cap = cap_of(place, tuple(row.per_day))
    judged = judge_day(known, cap, patience.rests_after_days)
    move, following = after(place, judged.day, steps)
    closed = WarmUpDay(
        warm_up=row.id, day=day.isoformat(), standing=place.standing.value, step=place.step, cap=cap, returned=returned,
        recorded=recorded, delivered=evidence.delivered, was=judged.day.value, move=move.value, why=judged.why,
        figures=dict(judged.figures), judged_at=now,
    )  # fmt: skip
    if move is not Move.NONE or (known.sent and place.standing is not Standing.WARM):
        session.add(closed)
    _moved(session, row, following, judged, now)
    _counted(session, row, closed, known.sent, move, patience)
    row.judged_day = day.isoformat()
    touch(row, now)
    if move is Move.STEP_BACK:
        row.evidence_since = ends_at(day, row.zone)
    if row.day < (today := today_of(row, now).isoformat()):
        row.day, row.returned, row.recorded = today, 0, 0
    session.add(row)
    return row


def record(session: Session, counts: Mapping[str, int], now: datetime) -> int:
    """What records say was sent today, by warm-up; returns how many differ from before."""
    chosen = select(WarmUp).where(col(WarmUp.id).in_(sorted(counts))).order_by(WarmUp.id).with_for_update()
    changed = 0
    for row in session.exec(chosen.execution_options(populate_existing=True)):
        today, count = today_of(row, now).isoformat(), min(counts[row.id], MOST_COUNT)
        if row.day != today:
            row.day, row.returned, row.recorded = today, 0, 0
        elif row.recorded == count:
            continue
        row.recorded = count
        touch(row, now)
        session.add(row)
        changed += 1
    return changed


def _returned(session: Session, row: WarmUp, day: date) -> int:
    """What senders gave back as used of the grants of a day."""
    chosen = select(func.sum(AllowancePart.used)).where(AllowancePart.warm_up == row.id, AllowancePart.day == day.isoformat())
    return min(int(session.exec(chosen).one() or 0), MOST_COUNT)


def _moved(session: Session, row: WarmUp, following: Place, judged: Judged, now: datetime) -> None:
    place, steps = place_of(row), len(row.per_day)
    row.standing, row.step = following.standing.value, following.step
    if place != following:
        log(session, row, (words_of(place, steps), words_of(following, steps)), actor=ACTOR, why=judged.why, now=now)


def _counted(session: Session, row: WarmUp, closed: WarmUpDay, sent: int, move: Move, patience: Patience) -> None:
    """The counts of days in a row, and whether a person is needed. A day without sending changes none of it."""
    if closed.was in {DayWas.IDLE, DayWas.FORGOTTEN}:
        return
    row.sent_day = closed.day
    used_up = closed.cap is not None and sent >= closed.cap
    row.used_up_day = closed.day if used_up else row.used_up_day
    row.stuck_days = row.stuck_days + 1 if move in {Move.HOLD, Move.STEP_BACK} else 0
    nowhere = _nowhere(session, row) if used_up else None
    row.waiting_days = row.waiting_days + 1 if nowhere else 0
    needs = _needs(row, closed.why, nowhere, patience)
    row.needs_at = None if not needs else row.needs_at if row.needs else closed.judged_at
    row.needs = "; ".join(needs) or None


def _nowhere(session: Session, row: WarmUp) -> str | None:
    """Why what is above the cap has nowhere to go."""
    if row.overflow is None:
        return "no overflow pool is named"
    return overflow_fault(session, row.overflow, scope_of(row.ip, row.domain, row.provider))


def _needs(row: WarmUp, why: str, nowhere: str | None, patience: Patience) -> Sequence[str]:
    needs = []
    if row.stuck_days >= patience.stuck_after:
        needs.append(f"no step forward on {row.stuck_days} sending days in a row, at last because: {why}")
    if row.waiting_days >= WAITING_DAYS and nowhere:
        needs.append(f"used up on {row.waiting_days} sending days in a row, and {nowhere}: the rest waits from day to day")
    return needs
