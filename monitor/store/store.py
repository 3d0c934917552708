"""The store: everything Vigie keeps, behind one object that any thread may use."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, select, text
from sqlmodel import Session

from collectors.observation import Batch
from monitor.records import Cursor, Latest, Series
from monitor.store import schema, windows
from monitor.store.engine import Engines, table
from monitor.store.intake import Intake, Taken
from monitor.store.windows import Counts

EVIDENCE_FOR = timedelta(days=30)


class Store:
    """One database, SQLite (`sqlite:///path`) or PostgreSQL (`postgresql://…`).

    `hash_key` is the HMAC key of recipients; without one it is made once and kept in the database.
    Building it opens nothing; `migrate()` comes first on a new database. Raises ValueError for another URL.
    """

    def __init__(self, url: str, *, hash_key: bytes | None = None) -> None:
        self._engines = Engines(url)
        self._hash_key = hash_key
        self._intake = Intake(self._engines, self.recipient_hash)

    @property
    def engine(self) -> Engine:
        """The writing engine; for what no method here offers."""
        return self._engines.write

    def migrate(self) -> None:
        """Bring the schema up to date; several processes may try at once."""
        schema.migrate(self._engines)

    def session(self) -> AbstractContextManager[Session]:
        """One write transaction: committed at exit, rolled back on error; its objects stay usable.

        On SQLite it holds the only write lock: short, never nested, no waiting for the world inside.
        """
        return self._engines.session()

    def reading_session(self) -> AbstractContextManager[Session]:
        """One unchanging snapshot; the database refuses writes."""
        return self._engines.reading_session()

    def close(self) -> None:
        self._engines.dispose()

    # ── facts in ──

    def intake(
        self, batches: Sequence[Batch], known_at: datetime, *, evidence_for: timedelta = EVIDENCE_FOR
    ) -> list[Taken]:
        """Take batches in one transaction, one answer each in order; acknowledge to the sources afterwards.

        A repeat (same source and key) writes nothing but its cursor. `known_at` never runs backwards: where
        the clock was stepped back the newest batch's is used. Raises ValueError, with nothing written, for a
        measure that collectors.measures does not name.
        """
        return self._intake.take(batches, known_at, evidence_for)

    def cursor(self, collector: str, name: str) -> dict[str, Any] | None:
        """The cursor last committed by this collector under this name."""
        cursor = table(Cursor)
        query = select(cursor.c.value).where(cursor.c.collector == collector, cursor.c.name == name)
        with self._engines.reading() as connection:
            value: dict[str, Any] | None = connection.execute(query).scalar_one_or_none()
        return value

    def recipient_hash(self, address: str) -> str:
        """HMAC-SHA256 in hex of the address without brackets and blanks, in lower case."""
        if self._hash_key is None:
            self._hash_key = self._kept_hash_key()
        plain = address.strip().removeprefix("<").removesuffix(">").strip().lower()
        return hmac.digest(self._hash_key, plain.encode("utf-8", "surrogatepass"), "sha256").hex()

    # ── facts out ──

    def window_counts(
        self,
        measures: Collection[str],
        by: Sequence[str],
        since: datetime,
        until: datetime,
        *,
        known_by: datetime | None = None,
        where: Mapping[str, str] | None = None,
    ) -> Counts:
        """Sums of readings with since <= at < until: {values of the `by` fields: {measure: sum}}.

        `by` and `where` name fields of Subject. `known_by` leaves out what was learnt later (backtests).
        A group without any known reading of a measure lacks it: not measured is not zero.
        """
        with self._engines.reading() as connection:
            return windows.window_counts(connection, measures, by, (since, until), known_by=known_by, where=where)

    def latest(self, measure: str, **where: str) -> list[tuple[Series, Latest]]:
        """What holds now for every series of a measure whose fields equal `where`, by series id."""
        with self.reading_session() as session:
            return windows.latest(session, measure, where)

    def _kept_hash_key(self) -> bytes:
        keep = text("INSERT INTO setting (name, value) VALUES ('recipient_hash_key', :key) ON CONFLICT DO NOTHING")
        find = text("SELECT value FROM setting WHERE name = 'recipient_hash_key'")
        with self._engines.reading() as connection:
            kept = connection.execute(find).scalar_one_or_none()
        if kept is None:
            with self._engines.writing() as connection:
                connection.execute(keep, {"key": secrets.token_hex(32)})
                kept = connection.execute(find).scalar_one()
        return bytes.fromhex(kept)
