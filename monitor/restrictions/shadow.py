"""What rules would have held, had they or all of automation not been in shadow: as rows, in force nowhere. Nothing here commits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlmodel import Session, col, select

from monitor.database.paging import Order, Page, Paged, paged
from monitor.database.tables import ShadowSuspension, Suspension

_NEWEST = Order((col(ShadowSuspension.since), col(ShadowSuspension.id)))


def compare(
    session: Session, rule: str, group_key: str, wanted: Iterable[Suspension], why_not: str, now: datetime
) -> list[ShadowSuspension]:
    """Begin what the rule would hold of this group by now, and end what it would hold no longer; returns what began."""
    rows = {row.member or "": row for row in wanted}
    known = open_of(session, rule, group_key)
    for shadow in known:
        if shadow.member not in rows or (shadow.until is not None and shadow.until <= now):
            shadow.ended_at = min(now, shadow.until) if shadow.until is not None else now
            session.add(shadow)
    standing = {shadow.member for shadow in known if shadow.ended_at is None or shadow.member in rows}
    begun = [
        ShadowSuspension(
            id=row.id.replace("sus-", "shd-", 1), rule=rule, group_key=group_key, member=member, scope=dict(row.scope), effect=row.effect,
            rate_per_hour=row.rate_per_hour, text=row.text, why_not=why_not, since=now, until=row.until,
        )
        for member, row in rows.items() if member not in standing
    ]  # fmt: skip
    session.add_all(begun)
    return begun


def open_of(session: Session, rule: str, group_key: str) -> list[ShadowSuspension]:
    """Those that would be in force."""
    of_group = (ShadowSuspension.rule == rule, ShadowSuspension.group_key == group_key)
    return list(session.exec(select(ShadowSuspension).where(*of_group, col(ShadowSuspension.ended_at).is_(None))))


def groups_with_open(session: Session, rule: str) -> set[str]:
    """The groups of a rule of which something would be held."""
    chosen = select(ShadowSuspension.group_key).where(ShadowSuspension.rule == rule, col(ShadowSuspension.ended_at).is_(None))
    return set(session.exec(chosen.distinct()))


def find_shadows(session: Session, page: Page, *, ended: bool = False, customer: str | None = None) -> Paged[ShadowSuspension]:
    """Newest first. Raises PlaceError."""
    chosen = select(ShadowSuspension)
    if not ended:
        chosen = chosen.where(col(ShadowSuspension.ended_at).is_(None))
    if customer is not None:
        chosen = chosen.where(col(ShadowSuspension.scope)["customer"].as_string() == customer)
    return paged(session, chosen, _NEWEST, page)
