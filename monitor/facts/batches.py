"""The log of what was taken in, batch by batch: whoever follows it sees what is new."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlmodel import Session, and_, func, or_, select

from monitor.database.tables import BatchRow


def newest_known_at(session: Session) -> datetime | None:
    """When the newest facts were learnt; None before the first."""
    return session.exec(select(func.max(BatchRow.known_at))).one()


def sources_taken(session: Session, keys: Iterable[tuple[str, str]]) -> set[str]:
    """Of these (source, key): the sources of those that were taken before."""
    named = [and_(BatchRow.source == source, BatchRow.key == key) for source, key in keys]
    return set(session.exec(select(BatchRow.source).where(or_(*named))))
