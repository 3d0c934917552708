"""Input that was parked: what waits for somebody to look, and how it is settled. It goes when its retention is over."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select, update

from monitor.database.bodies import beginning
from monitor.database.paging import Order, Page, Paged, paged
from monitor.database.tables import BatchRow, ParkedRow

_OLDEST = Order((col(ParkedRow.id),), descending=False)


@dataclass(frozen=True, slots=True)
class ParkedInput:
    """A parked input without its body; `received_at` is when the source had it."""

    id: int
    source: str  # of its batch: mail, events/generic
    place: str
    reason: str
    text: str
    size: int
    received_at: datetime
    parked_at: datetime
    settled_at: datetime | None
    settled_by: str | None
    settled_why: str | None


def find_parked(
    session: Session, source: str, page: Page, *, reason: str | None = None, settled: bool = False
) -> Paged[ParkedInput]:
    """The oldest first: those that wait, or with `settled` all. Raises PlaceError."""
    query = _inputs(source)
    if not settled:
        query = query.where(col(ParkedRow.settled_at).is_(None))
    if reason is not None:
        query = query.where(ParkedRow.reason == reason)
    parked = paged(session, query, _OLDEST, page)
    return Paged([ParkedInput(*row) for row in parked.rows], parked.next)


def parked_among(session: Session, source: str, ids: Collection[int]) -> list[ParkedInput]:
    """Those of these ids, whether settled or not, the oldest first."""
    query = _inputs(source).where(col(ParkedRow.id).in_(ids)).order_by(col(ParkedRow.id))
    return [ParkedInput(*row) for row in session.exec(query)]


def _inputs(source: str) -> Any:
    received_at = func.coalesce(BatchRow.at, ParkedRow.at)  # batches may be pruned before what they parked
    return (
        select(
            ParkedRow.id, ParkedRow.collector, ParkedRow.place, ParkedRow.reason, ParkedRow.text,
            ParkedRow.size, received_at, ParkedRow.at, ParkedRow.settled_at,
            ParkedRow.settled_by, ParkedRow.settled_why,
        )  # type: ignore[call-overload]  # SQLModel types up to four columns
        .outerjoin(BatchRow, col(BatchRow.id) == ParkedRow.batch_id)
        .where(ParkedRow.collector == source)
    )


def body_of(session: Session, parked_id: int, most: int | None = None) -> bytes:
    """The input itself as it came, or its first `most` bytes."""
    body, size = session.exec(select(ParkedRow.body, ParkedRow.size).where(ParkedRow.id == parked_id)).one()
    return beginning(body, size if most is None else min(size, most))


def settle(session: Session, ids: Collection[int], *, by: str, why: str, now: datetime) -> int:
    """Say that nobody needs to look any more; returns how many were still waiting. ValueError without a reason."""
    if not why.strip():
        raise ValueError("a reason is needed: who reads this later must know why")
    waiting = update(ParkedRow).where(col(ParkedRow.id).in_(ids), col(ParkedRow.settled_at).is_(None))
    return session.exec(waiting.values(settled_at=now, settled_by=by, settled_why=why)).rowcount
