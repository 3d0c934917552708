"""Which mailbox provider is behind a domain, an MX or a name, as the inventory has it beside the shipped table?

The one place where the two are put together; everything that recognises a provider is handed this table.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlmodel import Session, select

from collectors import providers
from collectors.providers import ProviderTable
from monitor.database.tables import MailboxProvider
from monitor.inventory.items import Provider


def read_providers(session: Session) -> ProviderTable:
    """With the rows that are stored."""
    return provider_table(session.exec(select(MailboxProvider)))


def provider_table(own: Iterable[Provider | MailboxProvider]) -> ProviderTable:
    """With these rows of an inventory. Ids are compared without regard to case, as everywhere."""
    rows = [
        providers.Provider(
            id=row.id.lower(), name=row.name, domains=tuple(row.domains), mx=tuple(name.removeprefix("*").strip(".") for name in row.mx)
        )
        for row in own
    ]
    return providers.shipped().with_own(rows) if rows else providers.shipped()
