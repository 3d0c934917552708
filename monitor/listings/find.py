"""Which listings there are, page by page."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session, col, or_, select

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
