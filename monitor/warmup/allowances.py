"""Messages reserved for a sender, and given back: never more than the caps allow, whoever asks at once.

One transaction reserves of all allowances that apply: it holds their rows (on SQLite: the one write lock), so grants take
turns, in whatever number of processes. What is reserved is summed from the grants that are open, so one that expires needs
nothing to be written to be free again, and a sender that dies leaves nothing behind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import delete, insert
from sqlmodel import Session, col, select

from monitor.database.engine import insert_into, table
from monitor.database.tables import AllowanceAnswer, AllowanceGrant, AllowancePart, WarmUp
from monitor.database.transitions import new_id
from monitor.gate.names import OTHER, Providers
from monitor.warmup.rows import (
    GRACE,
    Allowance,
    allowances_of,
    find_day,
    key_of,
    of_ips_or_domains,
    opened,
    scope_of,
    today_of,
    touch,
)
from monitor.warmup.standing import Standing

ANSWERS_KEPT = timedelta(days=1)  # for so long a repeated call is known as one
GRANTS_KEPT = timedelta(days=7)  # after its end a return is still counted
MOST_COUNT = 2_000_000_000  # of one day, in a column


class ConflictError(ValueError):
    """What was returned before, with another number."""


class RepeatedKeyError(ValueError):
    """An idempotency key that came with another body before."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many messages, of which IP and domain, to which provider; all names in canonical form.

    `provider` None: no provider is named. `of_others`: it is a domain of no known provider, so also one of `other`.
    """

    customer: str
    sender: str
    count: int
    ttl: timedelta
    ip: str | None = None
    domain: str | None = None
    provider: str | None = None
    of_others: bool = False

    @property
    def keys(self) -> list[str]:
        """The allowances that may apply."""
        if self.provider is None:
            return []
        providers = [self.provider, *([OTHER] if self.of_others else [])]
        named = [(self.ip, None)] * (self.ip is not None) + [(None, self.domain)] * (self.domain is not None)
        return [key_of(scope_of(ip, domain, provider)) for ip, domain in named for provider in providers]


@dataclass(frozen=True, slots=True)
class Granted:
    """`grant` None: nothing had to be reserved, or nothing is left until `retry_after_seconds`."""

    grant: str | None
    granted: int
    expires_at: datetime | None
    retry_after_seconds: int | None
    pool: str | None
    allowances: Sequence[Allowance]


@dataclass(frozen=True, slots=True)
class Returned:
    """`late`: it had expired, so `used` is counted and nothing comes back."""

    grant: str
    granted: int
    used: int
    returned: int
    late: bool
    allowances: Sequence[Allowance]


def provider_meant(providers: Providers, provider: str | None, recipient_domain: str | None) -> tuple[str | None, bool]:
    """The provider, as the gate finds it, and whether it is a domain of the many others."""
    name = provider or recipient_domain
    if name is None:
        return None, False
    known = providers.named(name) if provider is not None else providers.of_domain(name)
    return (name, True) if known is None else (known, False)


def grant(session: Session, wanted: Wanted, now: datetime) -> Granted:
    """Reserve up to `count` of all allowances that apply. Raises ValueError where the provider must be named."""
    rows = _applying(session, wanted)
    if not rows:
        return Granted(None, wanted.count, None, None, None, ())
    for row in rows:
        _begin_day(row, now)
    reserved = opened(session, now, [row.id for row in rows])
    before = allowances_of(rows, reserved, now)
    count = min([wanted.count, *(each.left for each in before if each.left is not None)])
    if count == 0:
        session.add_all(rows)  # a day may have begun
        return Granted(None, 0, None, _retry_after(session, before, now), _pool(before), before)
    grant_id, expires_at, connection = new_id("gr"), (now + wanted.ttl).replace(microsecond=0), session.connection()
    connection.execute(insert(table(AllowanceGrant)), {
        "id": grant_id, "customer": wanted.customer, "sender": wanted.sender, "granted": count, "granted_at": now,
        "expires_at": expires_at, "answer": {},
    })  # fmt: skip
    connection.execute(insert(table(AllowancePart)), [
        {"grant_id": grant_id, "warm_up": row.id, "day": row.day, "granted": count, "expires_at": expires_at} for row in rows
    ])  # fmt: skip
    for row in rows:
        touch(row, now)
        reserved[row.id, row.day] = reserved.get((row.id, row.day), 0) + count
    session.add_all(rows)
    return Granted(grant_id, count, expires_at, None, None, allowances_of(rows, reserved, now))


def give_back(session: Session, grant_id: str, used: int, now: datetime, *, customer: str | None = None) -> Returned | Mapping[str, Any]:
    """Say how many of a grant were used; said again the same, its first answer, as it was kept.

    Raises LookupError for an unknown grant or (with `customer`) another customer's, ConflictError for another number than
    before, ValueError for more than was granted.
    """
    parts = session.exec(select(AllowancePart).where(AllowancePart.grant_id == grant_id)).all()
    ids = sorted(part.warm_up for part in parts)
    # in the order grants take them, so that nobody waits for whoever waits for him
    rows = session.exec(select(WarmUp).where(col(WarmUp.id).in_(ids)).order_by(WarmUp.id).with_for_update()).all()
    made = session.exec(
        select(AllowanceGrant).where(AllowanceGrant.id == grant_id).with_for_update().execution_options(populate_existing=True)
    ).first()
    if made is None or customer not in {None, made.customer}:
        raise LookupError(f"no grant {grant_id}")
    if made.used is not None:
        if made.used != used:
            raise ConflictError(f"the grant {grant_id} was returned before, with {made.used:,} used")
        return made.answer
    if not 0 <= used <= made.granted:
        raise ValueError(f"used: the grant {grant_id} is of {made.granted:,} messages")
    late = now >= made.expires_at + GRACE
    for part in parts:
        part.used = made.used = used
        row = next(each for each in rows if each.id == part.warm_up)
        _begin_day(row, now)
        _count_used(session, row, part)
        touch(row, now)
    session.add_all([*parts, *rows, made])
    session.flush()
    going = [row for row in rows if row.stopped_at is None and row.standing != Standing.WARM]
    after = allowances_of(going, opened(session, now, ids), now)
    return Returned(made.id, made.granted, used, 0 if late else made.granted - used, late, after)


def keep_return(session: Session, grant_id: str, answer: Mapping[str, Any]) -> None:
    """Remember what a return was answered: said again, it is answered the same."""
    made = session.get(AllowanceGrant, grant_id)
    assert made is not None
    made.answer = dict(answer)
    session.add(made)


def answered_before(session: Session, key: str, body: Any, now: datetime) -> Mapping[str, Any] | None:
    """What this idempotency key was answered; None: it is new, and others who bring it wait until we commit.

    Raises RepeatedKeyError where it came with another body.
    """
    digest = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
    connection = session.connection()
    row = insert_into(connection, AllowanceAnswer).values(key=key, body=digest, answer={}, at=now).on_conflict_do_nothing()
    if connection.execute(row.returning(table(AllowanceAnswer).c.key)).first() is not None:
        return None
    before = session.exec(select(AllowanceAnswer).where(AllowanceAnswer.key == key)).one()
    if before.body != digest:
        raise RepeatedKeyError("this Idempotency-Key was used with another body")
    return before.answer


def keep_answer(session: Session, key: str, answer: Mapping[str, Any]) -> None:
    row = session.get(AllowanceAnswer, key)
    assert row is not None
    row.answer = dict(answer)
    session.add(row)


def forget(session: Session, now: datetime) -> int:
    """Throw away answers and grants nobody will ask for any more; returns how many."""
    old = select(AllowanceGrant.id).where(col(AllowanceGrant.expires_at) < now - GRANTS_KEPT)
    gone = (
        delete(AllowanceAnswer).where(col(AllowanceAnswer.at) < now - ANSWERS_KEPT),
        delete(AllowancePart).where(col(AllowancePart.grant_id).in_(old)),
        delete(AllowanceGrant).where(col(AllowanceGrant.expires_at) < now - GRANTS_KEPT),
    )
    return sum(session.connection().execute(statement).rowcount for statement in gone)


def _applying(session: Session, wanted: Wanted) -> list[WarmUp]:
    """The rows of all allowances that apply, held until the transaction ends, always in the same order."""
    keys = wanted.keys
    if not keys:
        if wanted.provider is None and (wanted.ip or wanted.domain) and of_ips_or_domains(session, wanted.ip, wanted.domain):
            raise ValueError("provider or recipient_domain: wanted, for this IP or domain is being warmed up by provider")
        return []
    chosen = select(WarmUp).where(col(WarmUp.open_key).in_(keys)).order_by(WarmUp.id).with_for_update()
    rows = session.exec(chosen.execution_options(populate_existing=True)).all()
    return [row for row in rows if row.standing != Standing.WARM]


def _begin_day(row: WarmUp, now: datetime) -> None:
    today = today_of(row, now).isoformat()
    if row.day != today:
        row.day, row.returned, row.recorded = today, 0, 0
        touch(row, now)


def _count_used(session: Session, row: WarmUp, part: AllowancePart) -> None:
    """It counts in the day it was given on."""
    assert part.used is not None
    if part.day == row.day:
        row.returned = min(row.returned + part.used, MOST_COUNT)
    elif (day := find_day(session, row.id, part.day)) is not None:
        day.returned = min(day.returned + part.used, MOST_COUNT)
        session.add(day)


def _pool(allowances: Sequence[Allowance]) -> str | None:
    """Where the mail may go instead: the pool that every one of those used up names."""
    pools = {each.pool for each in allowances if each.left == 0}
    return pools.pop() if len(pools) == 1 else None


def _retry_after(session: Session, allowances: Sequence[Allowance], now: datetime) -> int:
    """Seconds until something can be had: of each that is used up, until a grant expires or its day ends."""
    soonest = []
    for each in (each for each in allowances if each.left == 0):
        open_ones = select(AllowancePart.expires_at).where(
            AllowancePart.warm_up == each.id, col(AllowancePart.used).is_(None), col(AllowancePart.expires_at) > now - GRACE
        )
        expiry = session.exec(open_ones.order_by(col(AllowancePart.expires_at)).limit(1)).first()
        ends = [each.resets_at, *([expiry + GRACE] if expiry is not None and (each.cap or 0) > each.used else [])]
        soonest.append(min(ends))
    return max(int((max(soonest) - now).total_seconds()) + 1, 1)
