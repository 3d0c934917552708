"""The store: everything Vigie keeps, behind one object that any thread may use."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, select, text
from sqlmodel import Session

from collectors.observation import Batch
from monitor.config.settings import NewSeries, Retention
from monitor.database import backup, leases, schema
from monitor.database.engine import Engines, table
from monitor.database.freed import Freed, freed
from monitor.database.recipient_keys import RecipientKeys
from monitor.database.replica import Answer, Looked, Question, Reads
from monitor.database.sizes import TableSize, table_sizes
from monitor.database.tables import Cursor, Latest, Series
from monitor.facts import count_log, retention, rollups, runs, windows
from monitor.facts.append import Intake, Taken, write_cursor
from monitor.facts.consequences import Consequences
from monitor.facts.following import Cut, take_cut
from monitor.facts.runs import Outcome, Runs
from monitor.facts.windows import Counts

DEFAULT_RETENTION = Retention()
DEFAULT_NEW_SERIES = NewSeries()
_WRITTEN = text(
    "INSERT INTO setting (name, value) VALUES ('written_at', :now) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


class Store:
    """One database, SQLite (`sqlite:///path`) or PostgreSQL (`postgresql://…`).

    `consequences` are written with the facts they follow from (monitor.intake.consequences has those of Vigie).
    `hash_key` is the HMAC key of recipients; without one it is made once and kept in the database. Counts are summed in
    buckets of `bucket` (a part of an hour; 0: each instant by itself). `read_url` is of a streaming replica. Facts about a
    time before what `keep` keeps longest are parked, and readings of more than `new_series` a day refused.
    Building it opens nothing; `migrate()` comes first on a new database. Raises ValueError for another URL.
    """

    def __init__(
        self, url: str, *, consequences: Consequences, hash_key: bytes | None = None, bucket: timedelta = timedelta(0),
        read_url: str | None = None, keep: Retention = DEFAULT_RETENTION, new_series: NewSeries = DEFAULT_NEW_SERIES,
    ) -> None:
        self._engines = Engines(url)
        self._address = url
        self._reads = Reads(self._engines, read_url)
        self._recipients = RecipientKeys(self._engines, hash_key)
        oldest = max(keep.daily, keep.traces)
        self._intake = Intake(self._engines, consequences, self._recipients, bucket, oldest, new_series)

    @property
    def engine(self) -> Engine:
        """The writing engine; for what no method here offers."""
        return self._engines.write

    def migrate(self) -> None:
        """Bring the schema up to date; several processes may try at once.

        Raises HashKeyError where the recipients of this database are hashed with another key.
        """
        schema.migrate(self._engines)
        self._recipients.check()

    def prove_writable(self, now: datetime) -> None:
        """Write one small row and commit. Raises what the database raises where it cannot be written."""
        with self._engines.writing() as connection:
            connection.execute(_WRITTEN, {"now": now.isoformat()})

    def prove_readable(self) -> None:
        """Ask for nothing. Raises what the database raises where it does not answer."""
        with self._engines.reading() as connection:
            connection.execute(select(1))

    def session(self) -> AbstractContextManager[Session]:
        """One write transaction: committed at exit, rolled back on error; its objects stay usable.

        Addresses in what people write (reasons, subjects) are replaced by their hash form.

        On SQLite it holds the only write lock: short, never nested, no waiting for the world inside.
        """
        return self._engines.session(self._recipients.redacted)

    def reading(self) -> AbstractContextManager[Connection]:
        """As `reading_session`, without the cost of a session: for what is asked thousands of times."""
        return self._engines.reading()

    def reading_session(self) -> AbstractContextManager[Session]:
        """One unchanging snapshot; the database refuses writes."""
        return self._engines.reading_session()

    def one_snapshot(self) -> AbstractContextManager[None]:
        """Whatever this thread reads meanwhile is of one moment; what it writes itself is not in it."""
        return self._engines.one_snapshot()

    def look(self, question: Question[Answer], who: str | None = None) -> Looked[Answer]:
        """What a person asks, perhaps of a replica; see Reads.look."""
        return self._reads.look(question, who)

    def wrote(self, who: str) -> None:
        """Somebody who will look wrote something, committed now; see Reads.wrote."""
        self._reads.wrote(who)

    def close(self) -> None:
        self._engines.dispose()
        self._reads.dispose()

    # ── facts in ──

    def intake(
        self, batches: Sequence[Batch], known_at: datetime, *, evidence_for: timedelta = DEFAULT_RETENTION.evidence
    ) -> list[Taken]:
        """Take batches in one transaction, one answer each in order; acknowledge to the sources afterwards.

        A repeat (same source and key) writes nothing but its cursor. `known_at` never runs backwards: where
        the clock was stepped back the newest batch's is used. Raises ValueError, with nothing written, for a
        measure that collectors.measures does not name; RecordsTakenError for records that were counted before.
        """
        return self._intake.take(batches, known_at, evidence_for)

    def cut(self) -> Cut:
        """Up to where all is committed and nothing comes later: read on to there (monitor.facts.following)."""
        return take_cut(self._engines)

    def cursor(self, collector: str, name: str) -> dict[str, Any] | None:
        """The cursor last committed by this collector under this name."""
        cursor = table(Cursor)
        query = select(cursor.c.value).where(cursor.c.collector == collector, cursor.c.name == name)
        with self._engines.reading() as connection:
            value: dict[str, Any] | None = connection.execute(query).scalar_one_or_none()
        return value

    def put_cursor(self, collector: str, name: str, value: Mapping[str, Any], now: datetime) -> None:
        """Keep a cursor that comes with no facts. Collectors hand theirs over with a batch."""
        with self._engines.writing() as connection:
            write_cursor(connection, (collector, name), value, now)

    @property
    def recipients(self) -> RecipientKeys:
        """How recipients are named here, also within texts."""
        return self._recipients

    def recipient_hash(self, address: str) -> str:
        """See RecipientKeys.hash."""
        return self._recipients.hash(address)

    def recipient_ref(self, customer: str, address: str) -> str:
        """See RecipientKeys.ref."""
        return self._recipients.ref(customer, address)

    def customer_key(self, customer: str) -> bytes:
        """See RecipientKeys.customer_key."""
        return self._recipients.customer_key(customer)

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
        or_unknown: bool = False,
    ) -> Counts:
        """Sums of readings with since <= at < until: {values of the `by` fields: {measure: sum}}.

        `by` and `where` name fields of Subject. `known_by` leaves out what was learnt later (backtests).
        A group without any known reading of a measure lacks it: not measured is not zero. `or_unknown`: also what
        does not know a field of `where`.
        """
        with self._engines.reading() as connection:
            return windows.window_counts(
                connection, measures, by, (since, until), known_by=known_by, where=where, or_unknown=or_unknown
            )

    def latest(self, measure: str, **where: str) -> list[tuple[Series, Latest]]:
        """What holds now for every series of a measure whose fields equal `where`, by series id."""
        with self.reading_session() as session:
            return windows.latest(session, measure, where)

    # ── runs of collectors ──

    def open_run(self, collector: str, now: datetime) -> int:
        """The id of a new run; one of the same collector left open by a crash is closed as failed."""
        with self._engines.writing() as connection:
            return runs.open_run(connection, collector, now)

    def close_run(
        self,
        run_id: int,
        now: datetime,
        *,
        outcome: Outcome,
        reason: str | None = None,
        text: str | None = None,
        **counts: int,
    ) -> None:
        """`counts` name columns of Run (batches, repeats, unknowns, …)."""
        values = {"ended_at": now, "outcome": Outcome(outcome).value, "reason": reason, "text": text}
        with self._engines.writing() as connection:
            runs.close_run(connection, run_id, values, counts)

    def last_runs(self) -> dict[str, Runs]:
        """By collector: its newest run, and the newest that got answers (for its freshness)."""
        with self.reading_session() as session:
            return runs.last_runs(session)

    # ── jobs ──

    def next_run(self, job: str) -> datetime | None:
        """When a job is due; None for one that never ran."""
        with self._engines.reading() as connection:
            return leases.next_run(connection, job)

    def claim(
        self, job: str, owner: str, now: datetime, ttl: timedelta, *, due_only: bool = True
    ) -> int | None:
        """Lease a job until now + ttl: the fence to release it with, or None when it is not due or another has it.

        With `due_only` False it is leased before its time too (news have come). A job not known yet is due.
        """
        with self._engines.writing() as connection:
            return leases.claim(connection, job, owner, now, ttl, due_only=due_only)

    def renew(self, job: str, owner: str, fence: int, now: datetime, ttl: timedelta) -> bool:
        """Lengthen the lease; False when it is no longer ours: stop."""
        with self._engines.writing() as connection:
            return leases.renew(connection, (job, owner, fence), now, ttl)

    def held(self, session: Session, job: str, owner: str, fence: int) -> bool:
        """Whether this claim is the newest: asked in a transaction that writes, no other is made until it ends."""
        return leases.held(session.connection(), (job, owner, fence))

    def done(self, job: str, owner: str, fence: int, now: datetime, next_run: datetime) -> bool:
        """Give the lease back; False, and nothing changed, when it is no longer ours."""
        with self._engines.writing() as connection:
            return leases.done(connection, (job, owner, fence), now, next_run)

    # ── upkeep ──

    def roll_up(self, limit: int = 100_000) -> int:
        """Rewrite hours and days that new readings made out of date; returns how many due rows were settled.

        Stops after the day that reaches `limit`. Safe to repeat, to break off and to run in parallel.
        """
        return rollups.roll_up(self._engines, limit)

    def forget_count_log(self, before: datetime) -> int:
        """Throw away what batches added (count_log) that were known before; returns the rows."""
        return count_log.prune(self._engines, before)

    def prune(self, now: datetime, keep: Retention = DEFAULT_RETENTION) -> dict[str, int]:
        """Throw away what is older than `keep`; returns rows gone by table (PostgreSQL readings: months)."""
        return retention.prune(self._engines, now, keep)

    def backup(self, file: Path) -> int:
        """Write a consistent copy while everything goes on; returns its bytes. Raises BackupError."""
        return backup.backup(self._engines, self._address, file)

    def restore(self, file: Path, *, force: bool = False) -> None:
        """Replace the database by a backup; refuses one that is not empty without `force`. Raises BackupError."""
        backup.restore(self._engines, self._address, file, force=force)

    def sizes(self, keep: Retention = DEFAULT_RETENTION) -> list[TableSize]:
        """Rows and bytes of each table, and what retention will free next, without reading whole tables."""
        kept = {
            "reading": keep.readings, "reading_hourly": keep.hourly, "reading_daily": keep.daily, "trace": keep.traces,
            "evidence": timedelta(0),  # expires by itself
        }  # fmt: skip
        with self._engines.reading() as connection:
            return table_sizes(connection, kept)

    def freed(self, now: datetime, keep: Retention = DEFAULT_RETENTION) -> list[Freed]:
        """What a prune at `now` would remove, by kind; counted or estimated, without reading whole tables."""
        with self._engines.reading() as connection:
            return freed(connection, now, keep)

    def info(self) -> dict[str, object]:
        """Schema revision, size in bytes and a few counts, as JSON values."""
        with self._engines.reading() as connection:
            return schema.info(connection)
