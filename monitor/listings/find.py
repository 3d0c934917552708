"""Which listings stand, which ended: intervals as they are stored."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, func, or_, select

from monitor.database.engine import chunks
from monitor.database.paging import Order, Page, Paged, paged
from monitor.database.tables import Listing
from monitor.inventory.owners import domains_of, ips_of

_NEWEST = Order((col(Listing.id),))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Those that stand, or with `cleared` also those that ended; of a customer those of its IPs and domains. `target` is canonical."""

    target: str | None = None
    dnsbl: str | None = None
    cleared: bool = False
    customer: str | None = None


def find_listings(session: Session, wanted: Wanted, page: Page) -> Paged[Listing]:
    """Newest first. Raises PlaceError."""
    chosen = select(Listing)
    if wanted.target is not None:
        chosen = chosen.where(Listing.target == wanted.target)
    if wanted.dnsbl is not None:
        chosen = chosen.where(Listing.dnsbl == wanted.dnsbl)
    if not wanted.cleared:
        chosen = chosen.where(col(Listing.cleared_at).is_(None))
    if wanted.customer is not None:
        target = col(Listing.target)
        chosen = chosen.where(or_(target.in_(ips_of(wanted.customer)), target.in_(domains_of(wanted.customer))))
    return paged(session, chosen, _NEWEST, page)


def newest_listings(session: Session, limit: int) -> list[Listing]:
    """Those that have not ended, the newest first."""
    chosen = select(Listing).where(col(Listing.cleared_at).is_(None)).order_by(*_NEWEST.by)
    return list(session.exec(chosen.limit(limit)))


def standing_findings(session: Session, others: Collection[str], limit: int) -> list[Listing]:
    """The confirmed listings that have not ended, the newest first; without those of `others`, which are no block lists."""
    standing = (col(Listing.cleared_at).is_(None), col(Listing.confirmed_at).is_not(None))
    chosen = select(Listing).where(*standing, col(Listing.dnsbl).not_in(others))
    return list(session.exec(chosen.order_by(*_NEWEST.by).limit(limit)))


def open_listings(session: Session) -> list[Listing]:
    """Every interval that has not ended."""
    return list(session.exec(select(Listing).where(col(Listing.cleared_at).is_(None))))


def count_listings(session: Session) -> int:
    """How many have not ended."""
    return session.exec(select(func.count()).select_from(Listing).where(col(Listing.cleared_at).is_(None))).one()


def lost_allow_listings(session: Session, lists: Collection[str], since: datetime) -> list[Listing]:
    """The newest confirmed interval of every (target, list) that let the target go after `since`; `lists`: the allow lists.

    Where it stands again by now, the interval that stands. One that ended because nobody asks any more, or because the
    list answered wrongly, is no loss.
    """
    allowing = (col(Listing.dnsbl).in_(lists), col(Listing.confirmed_at).is_not(None))
    ended = select(Listing).where(*allowing, col(Listing.cleared_at) > since)
    lost = list(session.exec(ended.order_by(col(Listing.id))))
    standing = select(Listing).where(*allowing, col(Listing.cleared_at).is_(None))
    again = [row for targets in chunks(sorted({row.target for row in lost}))
             for row in session.exec(standing.where(col(Listing.target).in_(targets)))]
    newest = {(row.target, row.dnsbl): row for row in lost}
    newest |= {pair: row for row in again if (pair := (row.target, row.dnsbl)) in newest}
    return [row for row in newest.values() if row.ended_reason is None]


def why_ended(session: Session, *, target: str | None, dnsbl: str | None, operator: str | None) -> str | None:
    """Why the interval of these that ended last is asked no more or was taken back; None where clean answers ended it."""
    chosen = select(Listing).where(col(Listing.cleared_at).is_not(None))
    for column, value in (
        (col(Listing.target), target), (col(Listing.dnsbl), dnsbl), (col(Listing.detail)["operator"].as_string(), operator)
    ):
        if value is not None:
            chosen = chosen.where(column == value)
    row = session.exec(chosen.order_by(col(Listing.cleared_at).desc(), col(Listing.id).desc()).limit(1)).first()
    return row.ended_reason if row else None
