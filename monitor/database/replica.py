"""Where people's questions are answered: by a streaming replica while it can, else by the primary.

Only what people look at goes this way (console, read API, metrics). Judge, gate, intake and whoever follows what was
taken in ask the primary. Whoever wrote something reads from the primary until the replica has that too. A replica that
is away, was promoted or is asked for what it does not have is no error: the primary answers.

A replica is asked twice in a row, once how far it is and then for one snapshot, so `engine.read_url` names one server
(a pool before it may stand between).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from typing import Generic, NamedTuple, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlmodel import Session

from monitor.database.engine import Engines, replica_engine
from monitor.database.faults import is_conflict, sentence

MARKED_SECONDS = 600.0  # how long after a write its writer reads from the primary, should the replica never get there
REST_SECONDS = 10.0  # a replica that failed is left alone so long
LOG_SECONDS = 60.0
_MOST_MARKS = 1_000
_TRIES = 2  # a query that stood in the way of the replay (SQLSTATE 40001) is read once more
_EVERYTHING = "FFFFFFFF/FFFFFFFF"
_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Question = Callable[[Session], Answer]

_PLACE = text("SELECT pg_current_wal_insert_lsn()::text")
# asked before the snapshot is taken, which then holds all of this and perhaps more
_HOW_FAR = text(
    "SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn() >= CAST(:needed AS pg_lsn),"
    " coalesce(pg_last_xact_replay_timestamp(), (SELECT max(known_at) FROM batch))"
)


class Looked(NamedTuple, Generic[Answer]):
    """An answer, and as of when it holds: None says that it is the primary's."""

    answer: Answer
    as_of: datetime | None


class Reads:
    """Answers what people ask. `address` is that of the replica; None: there is none.

    Raises ValueError for one that is no PostgreSQL, or of a primary that is none.
    """

    def __init__(self, primary: Engines, address: str | None) -> None:
        if address is not None and primary.dialect != "postgresql":
            raise ValueError("a replica is one of PostgreSQL, and the store is SQLite: leave it out")
        self._primary = primary
        self._replica = None if address is None else replica_engine(address)
        self._marks = _Marks()
        self._resting_until = 0.0
        self._logged_at = -LOG_SECONDS

    def look(self, question: Question[Answer], who: str | None = None) -> Looked[Answer]:
        """The answer to a question, which reads only, may be asked again and keeps nothing of the session.

        `who` asks: what was written in that name is in the answer. None: what anybody wrote through this process.
        """
        looked = None if self._replica is None or monotonic() < self._resting_until else self._tried(question, who)
        if looked is not None:
            return looked
        with self._primary.reading_session() as session:
            return Looked(question(session), None)

    def wrote(self, who: str) -> None:
        """Somebody wrote something that is committed now."""
        if self._replica is None:
            return
        try:
            with self._primary.reading() as connection:
                place = str(connection.execute(_PLACE).scalar_one())
        except SQLAlchemyError:
            place = _EVERYTHING  # nobody can say how far the replica must be
        self._marks.put(who, place)

    def dispose(self) -> None:
        if self._replica is not None:
            self._replica.dispose()

    def _tried(self, question: Question[Answer], who: str | None) -> Looked[Answer] | None:
        """None: the primary is to be asked."""
        for _ in range(_TRIES):
            try:
                return self._of_replica(question, who)
            except DBAPIError as error:
                if not is_conflict(error):
                    self._rest(sentence(error, "engine.read_url"))
                    return None
            except SQLAlchemyError as error:  # no connection of the pool came free
                self._rest(str(error))
                return None
        return None

    def _of_replica(self, question: Question[Answer], who: str | None) -> Looked[Answer] | None:
        assert self._replica is not None
        mark = self._marks.of(who)
        with self._replica.connect() as connection:
            with connection.begin():
                follows, has_it, as_of = connection.execute(_HOW_FAR, {"needed": mark or "0/0"}).one()
            if not follows:
                self._rest("it is no replica, or one that was promoted")
            if not follows or not has_it or as_of is None:
                return None
            if mark is not None:
                self._marks.reached(mark)
            with connection.begin(), Session(connection, expire_on_commit=False) as session:
                return Looked(question(session), as_of.astimezone(UTC))

    def _rest(self, why: str) -> None:
        now = monotonic()
        self._resting_until = now + REST_SECONDS
        if now - self._logged_at >= LOG_SECONDS:
            self._logged_at = now
            _log.warning("engine.read_url cannot be read from, engine.url is instead: %s", why)


class _Marks:
    """Up to where in the log the replica must be for each of those who wrote lately."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._marks: dict[str, tuple[str, float]] = {}  # the oldest first

    def put(self, who: str, place: str) -> None:
        with self._lock:
            self._marks.pop(who, None)
            self._marks[who] = place, monotonic()
            if len(self._marks) > _MOST_MARKS:
                del self._marks[next(iter(self._marks))]

    def of(self, who: str | None) -> str | None:
        """What that one needs; None asks for the newest of all."""
        with self._lock:
            name = next(reversed(self._marks), "") if who is None else who
            place, put_at = self._marks.get(name, (None, 0.0))
            return place if monotonic() - put_at < MARKED_SECONDS else None

    def reached(self, place: str) -> None:
        with self._lock:
            self._marks = {who: mark for who, mark in self._marks.items() if mark[0] != place}
