"""Following what was taken in, or what changed, without missing any of it and without seeing half of it.

Ids are given out before they are committed, so "everything above the highest id I saw" misses what commits late. Here
whoever writes batches or transitions holds one lock while ids are given out and until they are committed
(Engines.alone; Engines.session takes it for transitions), and a cut is taken under the shared form of that lock: all
up to it is committed, and nothing up to it will come later. SQLite has one writer at a time, which is the same.

A follower keeps the place it came to, takes a cut, and reads what lies between: `batch_id > seen AND batch_id <= cut`.
The cut is the primary's: a follower never reads from a replica.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import text
from sqlmodel import Session, and_, col, func, or_, select

from monitor.database.engine import Engines
from monitor.database.tables import FOLLOWED, TraceRow, Transition


class Cut(NamedTuple):
    """The highest ids of batches and transitions up to which all is committed; 0: none yet."""

    batch: int
    transition: int


class Place(NamedTuple):
    """Up to where somebody read: the batch, and the row within it."""

    batch: int = 0
    row: int = 0


_CUT = text("SELECT coalesce((SELECT max(id) FROM batch), 0), coalesce((SELECT max(id) FROM transition), 0)")


def take_cut(engines: Engines) -> Cut:
    """Waits for a writer that is just committing (some 10 ms); holds up nobody beyond its own look."""
    with engines.settled() as connection:
        return Cut(*connection.execute(_CUT).one())


def followed_traces(session: Session, since: Place, until: Cut, limit: int) -> list[TraceRow]:
    """Traces of the followed kinds (tables.FOLLOWED_KINDS) that came after a place, in the order they were committed."""
    batch, row = col(TraceRow.batch_id), col(TraceRow.id)
    beyond = or_(batch > since.batch, and_(batch == since.batch, row > since.row))
    chosen = select(TraceRow).where(FOLLOWED, batch >= since.batch, batch <= until.batch, beyond)
    return list(session.exec(chosen.order_by(batch, row).limit(limit)))


def place_of_trace(session: Session, trace: int) -> Place:
    """Where somebody stands who read the followed traces up to this id (cursors of the first release say so)."""
    newest = select(func.max(TraceRow.batch_id)).where(FOLLOWED, col(TraceRow.id) <= trace)
    return Place(session.exec(newest).one() or 0, trace)


def newest_transition(session: Session) -> int:
    """Whether anything changed. Transitions commit in the order of their ids, so a snapshot that shows this one shows
    all before it.
    """
    return session.exec(select(func.max(Transition.id))).one() or 0
