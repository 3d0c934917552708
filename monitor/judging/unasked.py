"""Is nobody asked any more about what an incident is about: a list, a target, a mailbox, a collector? And why.

Such an incident ends at once, for to wait for clear answers would be to wait for nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlmodel import Session

from monitor.inventory.rows import addresses_among, domains_among, mailboxes
from monitor.listings.find import why_ended
from monitor.listings.rows import LIST_GONE, TARGET_GONE, UNASKED
from monitor.rules.verdict import Group


@dataclass(frozen=True, slots=True)
class Configured:
    """The configured collectors, and the DNS lists that are asked; None: not known, so none is missed."""

    collectors: Collection[str] | None = None
    lists: Collection[str] | None = None

    def asks(self, dnsbl: str | None) -> bool:
        """Whether a list is asked; None: whether any is."""
        if self.lists is None:
            return True
        return bool(self.lists) if dnsbl is None else dnsbl in self.lists


def why_unasked(session: Session, group: Group, configured: Configured) -> str | None:
    """Why nothing more will be known of a group; None where its answers just say nothing bad any more."""
    about = dict(group)
    if configured.collectors and about.get("collector", "") not in {"", *configured.collectors}:
        return f"collector {about['collector']} is no longer configured"
    if "dnsbl" in about and not configured.asks(about["dnsbl"]):
        return LIST_GONE if configured.lists else UNASKED
    if (mailbox := about.get("mailbox")) and mailbox not in {box.name for box in mailboxes(session)}:
        return "the mailbox is no longer in the inventory"
    target = about.get("target") or about.get("ip") or about.get("domain")
    if target and not (addresses_among(session, {target}) or domains_among(session, {target})):
        return TARGET_GONE
    if target or "dnsbl" in about or "operator" in about:
        return why_ended(session, target=target, dnsbl=about.get("dnsbl"), operator=about.get("operator"))
    return None
