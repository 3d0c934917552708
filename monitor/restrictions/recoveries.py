"""Recoveries as rows: begun with the suspension of a rule, moved step by step, overridden by people for a stated time.

What restricts the scope is always one suspension; a step puts the next on and takes the last off in one transaction, so that
nobody is let through between. Each step is a transition with its reason. Nothing here commits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from monitor.database.paging import Order, Page, Paged, paged
from monitor.database.tables import Recovery, Suspension, Transition
from monitor.database.transitions import BEFORE, TransitionKind, check_reason, new_id
from monitor.gate import Effect
from monitor.restrictions.recovery import Progress, Stage
from monitor.restrictions.rows import is_in_force
from monitor.restrictions.suspensions import put_on, take_off
from monitor.rules.ladders import Ladder

ACTOR = "recovery"
FORGET_AFTER = timedelta(days=14)  # a hold so soon after the last is a relapse
LONGEST_OVERRIDE = timedelta(days=30)
_NEWEST = Order((col(Recovery.began_at), col(Recovery.id)))


@dataclass(frozen=True, slots=True)
class Begin:
    """Of which verdict, and what was sent an hour before (None: not measured)."""

    ladder: Ladder
    group_key: str
    usual_per_hour: int | None
    first_hold: timedelta


def recovery_named(session: Session, recovery_id: str) -> Recovery | None:
    return session.get(Recovery, recovery_id)


def open_recoveries(session: Session) -> list[Recovery]:
    """Those that last, the oldest first."""
    return list(session.exec(select(Recovery).where(col(Recovery.ended_at).is_(None)).order_by(col(Recovery.began_at))))


def open_of(session: Session, rule: str, key: str) -> Recovery | None:
    """That of a rule and a scope, if it lasts."""
    chosen = select(Recovery).where(Recovery.rule == rule, Recovery.scope_key == key, col(Recovery.ended_at).is_(None))
    return session.exec(chosen).first()


def find_recoveries(session: Session, page: Page, *, ended: bool = False, customer: str | None = None) -> Paged[Recovery]:
    """Newest first. Raises PlaceError."""
    chosen = select(Recovery)
    if not ended:
        chosen = chosen.where(col(Recovery.ended_at).is_(None))
    if customer is not None:
        chosen = chosen.where(col(Recovery.scope)["customer"].as_string() == customer)
    return paged(session, chosen, _NEWEST, page)


def progress_of(row: Recovery) -> Progress:
    return Progress(
        Stage(row.stage), row.since, timedelta(seconds=row.first_hold_seconds), row.usual_per_hour, row.good_per_hour,
        row.rate_per_hour, row.connections, row.relapses,
    )  # fmt: skip


def held_by_rule(session: Session, suspension: Suspension, begin: Begin, now: datetime) -> Recovery:
    """The suspension a rule puts on now begins a recovery, or is a relapse of the one that lasts or ended lately."""
    assert suspension.rule is not None
    assert suspension.incident_id is not None
    stage = Stage.HELD if suspension.effect == Effect.HOLD else Stage.SLOWED
    row = open_of(session, suspension.rule, suspension.scope_key)
    if row is not None:
        relapses = row.relapses + (row.stage in {Stage.PROBING, Stage.RAMPING})
        _take_off(session, row, why="it was bad again", now=now)
        row.incident_id, row.group_key, row.called_at = suspension.incident_id, begin.group_key, None
        row.overridden_until = None
        _note(session, row, stage, suspension.text, suspension.rule, now)
        row.stage, row.since, row.relapses, row.connections = stage.value, now, relapses, None
    else:
        before = _lately(session, suspension.rule, suspension.scope_key, now)
        row = Recovery(
            id=new_id("rec"), rule=suspension.rule, ladder=begin.ladder.name, scope=dict(suspension.scope),
            scope_key=suspension.scope_key, group_key=begin.group_key, incident_id=suspension.incident_id, suspension_id=suspension.id,
            stage=stage.value, since=now, began_at=now, first_hold_seconds=int(begin.first_hold.total_seconds()),
            usual_per_hour=begin.usual_per_hour, good_per_hour=before.good_per_hour if before else None,
            relapses=before.relapses + 1 if before else 0,
        )  # fmt: skip
        _note(session, row, stage, suspension.text, suspension.rule, now, old=BEFORE)
    row.rate_per_hour, row.suspension_id = suspension.rate_per_hour, suspension.id
    session.add(row)
    return row


def move(session: Session, row: Recovery, after: Progress, *, why: str, lifts_when: str, now: datetime) -> None:
    """Bring it to the next step: what restricts the scope from now on, and the transition."""
    _note(session, row, after.stage, why, ACTOR, now)
    _take_off(session, row, why=why, now=now)
    row.stage, row.since, row.called_at = after.stage.value, after.since, None
    row.good_per_hour, row.rate_per_hour = after.good, after.rate
    row.connections, row.relapses = after.connections, after.relapses
    if after.stage is Stage.NORMAL:
        row.ended_at = now
    else:
        _restrict(session, row, why, lifts_when, now)
    session.add(row)


def end(session: Session, row: Recovery, *, actor: str, why: str, now: datetime) -> None:
    """All is as before from now on, for another reason than the way back itself."""
    _note(session, row, Stage.NORMAL, why, actor, now)
    _take_off(session, row, why=why, now=now)
    row.stage, row.since, row.ended_at = Stage.NORMAL.value, now, now
    session.add(row)


def override(
    session: Session, recovery_id: str, *, stage: Stage, until: datetime, actor: str, reason: str, now: datetime,
    rate_per_hour: int | None = None,
) -> Recovery:
    """A person says where it stands until an instant; nothing moves it until then, and it goes on from there.

    Raises LookupError, and ValueError for what makes no sense.
    """
    check_reason(reason)
    row = session.get(Recovery, recovery_id)
    if row is None or row.ended_at is not None:
        raise LookupError(f"no recovery {recovery_id} that lasts")
    if not now < until <= now + LONGEST_OVERRIDE:
        raise ValueError(f"until: an instant to come, {LONGEST_OVERRIDE.days} days ahead at most")
    slows = stage not in {Stage.NORMAL, Stage.HELD}
    if slows != (rate_per_hour is not None):
        raise ValueError(f"{stage} needs rate_per_hour" if slows else f"{stage} takes no rate_per_hour")
    if rate_per_hour is not None and rate_per_hour <= 0:
        raise ValueError("rate_per_hour must be above 0")
    _note(session, row, stage, reason, actor, now, until=until)
    _take_off(session, row, why=reason, now=now, actor=actor)
    row.stage, row.since, row.rate_per_hour, row.connections = stage.value, now, rate_per_hour, None
    row.overridden_until, row.overridden_by, row.override_reason, row.called_at = until, actor, reason, None
    if stage is not Stage.NORMAL:
        _restrict(session, row, f"{actor}: {reason}", f"{actor} decides anew, or at {until:%Y-%m-%d %H:%M} UTC it goes on by itself", now)
    session.add(row)
    return row


def overridden(row: Recovery, now: datetime) -> bool:
    return row.overridden_until is not None and now < row.overridden_until


def lifted_by(session: Session, row: Recovery, now: datetime) -> str | None:
    """Who else lifted what restricts the scope; None where nobody did."""
    suspension = session.get(Suspension, row.suspension_id)
    if suspension is None or is_in_force(suspension, now):
        return None
    return suspension.lifted_by or "its time"


def _lately(session: Session, rule: str, key: str, now: datetime) -> Recovery | None:
    chosen = select(Recovery).where(Recovery.rule == rule, Recovery.scope_key == key, col(Recovery.ended_at) > now - FORGET_AFTER)
    return session.exec(chosen.order_by(col(Recovery.ended_at).desc())).first()


def _restrict(session: Session, row: Recovery, why: str, lifts_when: str, now: datetime) -> None:
    effect = Effect.HOLD if row.stage == Stage.HELD else Effect.SLOW
    suspension = Suspension(
        id=new_id("sus"), scope=dict(row.scope), scope_key=row.scope_key, effect=effect.value, rule=row.rule, actor=ACTOR,
        rate_per_hour=row.rate_per_hour if effect is Effect.SLOW else None, connections=row.connections, text=f"{row.stage}: {why}",
        evidence={}, since=now, lifts_when=lifts_when, member=row.scope_key,
    )  # fmt: skip
    put_on(session, suspension, why=why)
    row.suspension_id = suspension.id


def _take_off(session: Session, row: Recovery, *, why: str, now: datetime, actor: str = ACTOR) -> None:
    suspension = session.get(Suspension, row.suspension_id)
    if suspension is not None and suspension.lifted_at is None:
        take_off(session, suspension, actor=actor, reason=why, now=now)


def _note(
    session: Session, row: Recovery, stage: Stage, why: str, actor: str, now: datetime, *, old: str | None = None,
    until: datetime | None = None,
) -> None:
    evidence: Mapping[str, object] = {"scope": row.scope, "rate_per_hour": row.rate_per_hour, "until": until.isoformat() if until else None}
    session.add(Transition(
        at=now, kind=TransitionKind.RECOVERY.value, of=row.id, old=old or row.stage, new=stage.value, why=why, actor=actor,
        rule=row.rule, evidence={**evidence},
    ))  # fmt: skip
