"""Warm-ups as rows: begun, stopped, and what each allows now. The only queries of their tables, with `allowances.py`.

Nothing here commits: the caller's session does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy
from sqlalchemy import bindparam
from sqlmodel import Session, col, func, or_, select

from monitor.database.engine import table
from monitor.database.tables import AllowancePart, Transition, WarmUp, WarmUpDay
from monitor.database.transitions import BEFORE, TransitionKind, check_reason, new_id
from monitor.inventory.known import read_names
from monitor.inventory.owners import read_owners
from monitor.inventory.rows import pools_of_addresses
from monitor.warmup.days import begins_at, day_at, ends_at
from monitor.warmup.plans import Plan
from monitor.warmup.standing import Place, Standing, cap_of

GRACE = timedelta(seconds=1)  # after its end a grant still counts: the clocks of two machines differ a little
STOPPED = "stopped"
_CAPPED = col(WarmUp.stopped_at).is_(None), col(WarmUp.standing) != Standing.WARM.value
Opened = Mapping[tuple[str, str], int]  # (warm-up, day) → messages reserved and neither returned nor expired


@dataclass(frozen=True, slots=True)
class Allowance:
    """A warm-up as it stands now. `cap` and `left` None: it is warm, nothing is limited."""

    id: str
    ip: str | None
    domain: str | None
    provider: str
    plan: str
    step: int
    steps: int
    standing: Standing
    cap: int | None
    used: int
    granted: int
    left: int | None
    resets_at: datetime
    pool: str | None
    needs: str | None

    @property
    def scope(self) -> dict[str, str]:
        return scope_of(self.ip, self.domain, self.provider)


@dataclass(frozen=True, slots=True)
class Start:
    """What is to be warmed up: an IP or a domain, never both."""

    ip: str | None
    domain: str | None
    provider: str
    plan: Plan
    zone: str = "UTC"
    overflow: str | None = None


def scope_of(ip: str | None, domain: str | None, provider: str) -> dict[str, str]:
    return {name: value for name, value in (("ip", ip), ("domain", domain), ("provider", provider)) if value is not None}


def key_of(scope: Mapping[str, str]) -> str:
    """One text per IP or domain and provider."""
    return "|".join(f"{name}={value}" for name, value in scope.items())


def place_of(row: WarmUp) -> Place:
    return Place(Standing(row.standing), row.step)


def words_of(place: Place, steps: int) -> str:
    """How a transition names it: `warming 3/31`."""
    return f"{place.standing} {place.step}/{steps}"


def start(session: Session, wanted: Start, *, actor: str, reason: str, now: datetime) -> WarmUp:
    """Begin a warm-up. Raises ValueError for a name the inventory does not know, an overflow pool that cannot take the rest,
    and where one goes on already.
    """
    check_reason(reason)
    scope = scope_of(wanted.ip, wanted.domain, wanted.provider)
    if (wanted.ip is None) == (wanted.domain is None):
        raise ValueError("a warm-up is of an IP or of a domain: name one of them")
    read_names(session).check(scope)
    if wanted.overflow is not None and (fault := overflow_fault(session, wanted.overflow, scope)) is not None:
        raise ValueError(fault)
    before = session.exec(select(WarmUp).where(WarmUp.open_key == key_of(scope))).first()
    if before is not None:
        raise ValueError(f"it goes on already, by the plan {before.plan} (step {before.step}): stop it first")
    today = day_at(now, wanted.zone)
    yesterday = (today - timedelta(days=1)).isoformat()
    row = WarmUp(
        id=new_id("alw"), ip=wanted.ip, domain=wanted.domain, provider=wanted.provider, open_key=key_of(scope),
        plan=wanted.plan.name, per_day=list(wanted.plan.per_day), zone=wanted.zone, overflow=wanted.overflow,
        standing=Standing.COLD.value, step=1, day=today.isoformat(), judged_day=yesterday, sent_day=yesterday,
        evidence_since=begins_at(today, wanted.zone), actor=actor, reason=reason, started_at=now, changed_at=now,
    )  # fmt: skip
    session.add(row)
    log(session, row, (BEFORE, words_of(place_of(row), len(row.per_day))), actor=actor, why=reason, now=now)
    return row


def stop(session: Session, scope: Mapping[str, str], *, actor: str, reason: str, now: datetime, plan: str | None = None) -> WarmUp:
    """End a warm-up: nothing is limited by it any more. Raises LookupError where none goes on (by this plan)."""
    check_reason(reason)
    row = session.exec(select(WarmUp).where(WarmUp.open_key == key_of(scope)).with_for_update()).first()
    if row is None:
        raise LookupError(f"no warm-up of {_words(scope)} goes on")
    if plan is not None and plan != row.plan:
        raise LookupError(f"{_words(scope)} is warmed up by the plan {row.plan}, not by {plan}")
    old = words_of(place_of(row), len(row.per_day))
    row.open_key, row.stopped_at, row.needs, row.needs_at = row.id, now, None, None
    touch(row, now)
    session.add(row)
    log(session, row, (old, STOPPED), actor=actor, why=reason, now=now)
    return row


def touch(row: WarmUp, now: datetime) -> None:
    """It is another from now on, to whoever follows."""
    row.changed_at, row.changes = now, row.changes + 1


def log(session: Session, row: WarmUp, change: tuple[str, str], *, actor: str, why: str, now: datetime) -> None:
    """The transition of a warm-up, from and to."""
    session.add(Transition(
        at=now, kind=TransitionKind.STANDING.value, of=row.id, old=change[0], new=change[1], why=why, actor=actor,
        evidence={"scope": scope_of(row.ip, row.domain, row.provider), "plan": row.plan},
    ))


def overflow_fault(session: Session, pool: str, scope: Mapping[str, str]) -> str | None:
    """Why a pool cannot take what is above the cap; None where it can: another IP of it is there, and not another customer's."""
    owners, members = read_owners(session), pools_of_addresses(session)
    whose = next((owners.owner(name, scope[name]) for name in ("ip", "domain") if name in scope), None)
    owner = owners.owner("pool", pool)
    if owner is not None and whose is not None and owner != whose:
        return f"the pool {pool} is another customer's"
    if not any(within == pool and address != scope.get("ip") for address, within in members.items()):
        return f"the pool {pool} has no other IP that could take what is above the cap"
    return None


def going_on(session: Session, now: datetime, ids: Collection[str] | None = None) -> list[Allowance]:
    """Every warm-up that was not stopped (of these ids), by provider and what it is of."""
    chosen = select(WarmUp).where(col(WarmUp.stopped_at).is_(None))
    if ids is not None:
        chosen = chosen.where(col(WarmUp.id).in_(ids))
    rows = session.exec(chosen.order_by(WarmUp.provider, col(WarmUp.open_key))).all()
    return allowances_of(rows, opened(session, now), now)


def changes(session: Session) -> tuple[int, int]:
    """Others whenever a warm-up began or changed."""
    count, total = session.exec(select(func.count(), func.sum(WarmUp.changes)).select_from(WarmUp)).one()
    return count, int(total or 0)


def changed_since(session: Session, since: datetime) -> Sequence[WarmUp]:
    """Those that changed since then, stopped ones too."""
    return session.exec(select(WarmUp).where(col(WarmUp.changed_at) >= since)).all()


_PART = table(AllowancePart).c
# built once: asked for every grant
_OPENED = (
    sqlalchemy.select(_PART.warm_up, _PART.day, func.sum(_PART.granted))
    .where(_PART.used.is_(None), _PART.expires_at > bindparam("since"))
    .group_by(_PART.warm_up, _PART.day)
)
_OPENED_OF = _OPENED.where(_PART.warm_up.in_(bindparam("ids", expanding=True)))


def opened(session: Session, now: datetime, ids: Sequence[str] | None = None) -> dict[tuple[str, str], int]:
    """What is reserved of each allowance and day."""
    values: dict[str, object] = {"since": now - GRACE}
    rows = session.connection().execute(_OPENED, values) if ids is None else (
        session.connection().execute(_OPENED_OF, values | {"ids": ids})
    )
    return {(warm_up, day): int(count) for warm_up, day, count in rows}


def allowances_of(rows: Iterable[WarmUp], reserved: Opened, now: datetime) -> list[Allowance]:
    return [allowance_of(row, reserved, now) for row in rows]


def today_of(row: WarmUp, now: datetime) -> date:
    """Its day now; never before the one it is in, whatever this machine's clock says."""
    return max(date.fromisoformat(row.day), day_at(now, row.zone))


def allowance_of(row: WarmUp, reserved: Opened, now: datetime) -> Allowance:
    """What it allows at this moment: left = cap - used - granted, never below 0."""
    today = today_of(row, now)
    cap = cap_of(place_of(row), tuple(row.per_day))
    granted = reserved.get((row.id, today.isoformat()), 0)
    used = used_of(row, granted) if row.day == today.isoformat() else 0
    return Allowance(
        id=row.id, ip=row.ip, domain=row.domain, provider=row.provider, plan=row.plan, step=row.step, steps=len(row.per_day),
        standing=Standing(row.standing), cap=cap, used=used, granted=granted,
        left=None if cap is None else max(cap - used - granted, 0), resets_at=ends_at(today, row.zone), pool=row.overflow,
        needs=row.needs,
    )  # fmt: skip


def used_of(row: WarmUp, granted: int) -> int:
    """What of today is gone. Both counts are parts of the same mail, so the greater holds and nothing counts twice.

    Records also show what is sent on grants that are still open: so much of them is reserved already.
    """
    return max(row.returned, row.recorded - granted)


def find_day(session: Session, warm_up: str, day: str) -> WarmUpDay | None:
    return session.get(WarmUpDay, (warm_up, day))


def days_of(session: Session, ids: Collection[str]) -> dict[str, list[WarmUpDay]]:
    """The days of these that are over, the oldest first."""
    days: dict[str, list[WarmUpDay]] = {}
    for row in session.exec(select(WarmUpDay).where(col(WarmUpDay.warm_up).in_(ids)).order_by(col(WarmUpDay.day))):
        days.setdefault(row.warm_up, []).append(row)
    return days


def plans_of(session: Session, ids: Collection[str]) -> dict[str, Sequence[int]]:
    """The messages a day of each step of these."""
    return dict(session.exec(select(WarmUp.id, WarmUp.per_day).where(col(WarmUp.id).in_(ids))).all())


def warming_up(session: Session) -> Sequence[WarmUp]:
    """Those that have a cap."""
    return session.exec(select(WarmUp).where(*_CAPPED)).all()


def followed(session: Session) -> Sequence[WarmUp]:
    """All that go on: those with `needs` wait for a person."""
    return session.exec(select(WarmUp).where(col(WarmUp.stopped_at).is_(None))).all()


def of_ips_or_domains(session: Session, ip: str | None, domain: str | None) -> bool:
    """Whether an IP or a domain is being warmed up at any provider."""
    named = or_(*(column == value for column, value in ((WarmUp.ip, ip), (WarmUp.domain, domain)) if value is not None))
    return session.exec(select(WarmUp.id).where(named, *_CAPPED).limit(1)).first() is not None


def _words(scope: Mapping[str, str]) -> str:
    return " at ".join(scope.values())
