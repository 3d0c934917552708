"""How the database is opened: one engine that writes, one that only reads.

SQLite: one file in WAL mode. A commit is on the disk before it returns (`synchronous=FULL`), because a
source is answered "saved" right after: neither kill -9 nor power loss takes a committed row back (a disk that
lies about fsync excepted). Every writing transaction begins IMMEDIATE, so it waits at its start and never
fails half-way for want of the lock; writers of one process queue on a lock of their own, which is
fairer and quicker than SQLite's polling.
PostgreSQL: READ COMMITTED for writing, a READ ONLY snapshot (REPEATABLE READ) for reading.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, ExceptionContext
from sqlmodel import Session, SQLModel

from monitor.config.addresses import plain_address
from monitor.database.faults import READ_ONLY
from monitor.database.revision import check_revision
from monitor.database.tables import IN_ORDER, PROSE

BUSY_SECONDS = 30  # how long a writer waits for another process's transaction
REPLICA_SECONDS = 3  # how long a connection to a replica may take; meanwhile somebody waits for a page

_PRAGMAS = (
    f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}",  # first: the others may have to wait
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",  # what is erased or expired is overwritten, however SQLite was built
    "PRAGMA wal_autocheckpoint=10000",  # pages: 40 MB of log before it is folded into the file
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA cache_size=-65536",  # KiB
    "PRAGMA mmap_size=268435456",
    "PRAGMA temp_store=MEMORY",
)

_INTAKE_LOCK = 0x56494749  # "VIGI": the advisory lock that makes intakes, roll-ups and migrations take turns
_LOCK = text("SELECT pg_advisory_xact_lock(:key)")
_LOCK_SHARED = text("SELECT pg_advisory_xact_lock_shared(:key)")


class Engines:
    """Both engines of one database. Raises ValueError for a URL that is neither SQLite file nor PostgreSQL."""

    def __init__(self, address: str) -> None:
        url = _url(address)
        self.dialect = url.get_backend_name()
        make = _sqlite if self.dialect == "sqlite" else _postgresql
        self.write = make(url, reads=False)
        self.read = make(url, reads=True)
        self._turn: AbstractContextManager[Any] = threading.RLock() if self.dialect == "sqlite" else nullcontext()
        self._shared = threading.local()
        event.listen(self.write, "handle_error", self._leave_a_standby)

    @contextmanager
    def writing(self, *, any_schema: bool = False) -> Iterator[Connection]:
        """One write transaction: committed at exit, rolled back on error.

        Raises OtherSchemaError where the schema is not the program's, but for whoever writes into `any_schema`.
        """
        with self._turn, self.write.begin() as connection:
            if not any_schema:
                check_revision(connection)
            yield connection

    @contextmanager
    def alone(self, *, any_schema: bool = False) -> Iterator[Connection]:
        """A write transaction that no other `alone` overlaps, in this process or another."""
        with self.writing(any_schema=True) as connection:
            if self.dialect == "postgresql":
                connection.execute(_LOCK, {"key": _INTAKE_LOCK})
            if not any_schema:
                check_revision(connection)  # no migration can begin from here on
            yield connection

    @contextmanager
    def settled(self) -> Iterator[Connection]:
        """A look at what is committed while no `alone` is under way, and no transition being written.

        Not a snapshot: what is asked after the lock was had sees all that was committed before.
        """
        if self.dialect == "sqlite":
            with self.reading() as connection:
                yield connection
            return
        with self.writing() as connection:
            connection.execute(_LOCK_SHARED, {"key": _INTAKE_LOCK})
            yield connection

    @contextmanager
    def session(self, prose: Callable[[str], str] = str) -> Iterator[Session]:
        """A session over one write transaction; its objects stay usable afterwards.

        `prose` is what becomes of every text that a person or a stranger wrote (tables.PROSE). New rows of a table
        whose ids must be committed in order (tables.IN_ORDER) make it wait for its turn, as intakes do.
        """
        with self.writing() as connection, Session(connection, expire_on_commit=False) as session:
            event.listen(session, "before_flush", _keep_order)
            event.listen(session, "before_flush", partial(_write_prose, prose))
            yield session
            session.flush()

    @contextmanager
    def reading_session(self) -> Iterator[Session]:
        """A session over one unchanging snapshot; writing through it is refused by the database."""
        with self.reading() as connection, Session(connection, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection over one unchanging snapshot."""
        shared: Connection | None = getattr(self._shared, "connection", None)
        if shared is not None:
            yield shared
            return
        with self.read.begin() as connection:
            yield connection

    @contextmanager
    def one_snapshot(self) -> Iterator[None]:
        """Whatever this thread reads meanwhile is of one moment; what it writes itself is not in it."""
        with self.reading() as connection:
            outer, self._shared.connection = getattr(self._shared, "connection", None), connection
            try:
                yield
            finally:
                self._shared.connection = outer

    def dispose(self) -> None:
        self.write.dispose()
        self.read.dispose()

    def _leave_a_standby(self, context: ExceptionContext) -> None:
        """A server that became read-only is left: new connections look among the hosts for the one that is not."""
        if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
            context.is_disconnect = True
            self.read.dispose()


def _write_prose(prose: Callable[[str], str], session: Session, *_: Any) -> None:
    for row in (*session.new, *session.dirty):
        for name in PROSE.get(type(row), ()):
            text = getattr(row, name)
            if text:
                setattr(row, name, prose(text))


def _keep_order(session: Session, *_: Any) -> None:
    if any(type(row) in IN_ORDER for row in session.new) and session.get_bind().dialect.name == "postgresql":
        session.execute(_LOCK, {"key": _INTAKE_LOCK})


def table(model: type[SQLModel]) -> Table:
    """The table of a row class (SQLModel does not show the type checker that it has one)."""
    return SQLModel.metadata.tables[str(model.__tablename__)]


def insert_into(connection: Connection, model: type[SQLModel]) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT, which both engines spell alike but SQLAlchemy keeps per dialect."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(table(model))


def _url(address: str) -> URL:
    url = make_url(plain_address(address))
    backend = url.get_backend_name()
    if backend in {"postgresql", "postgres"}:
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise ValueError(f"{backend}: the store is sqlite:///path or postgresql://…")
    if not url.database or url.database == ":memory:":
        raise ValueError("sqlite needs a file: readers and writers are connections of their own")
    return url


def _sqlite(url: URL, *, reads: bool) -> Engine:
    with suppress(OSError):  # then SQLite says that it cannot open the file
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)
    pragmas = (*_PRAGMAS, "PRAGMA query_only=ON") if reads else _PRAGMAS

    @event.listens_for(engine, "do_connect")
    def _connecting(*_: Any) -> None:
        # nobody else's to read: recipients' hashes and the key they are made with; -wal and -shm follow its mode
        with suppress(OSError):
            os.close(os.open(str(url.database), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        for pragma in pragmas:
            _patiently(connection, pragma)

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _patiently(connection: sqlite3.Connection, pragma: str) -> None:
    """SQLite itself does not wait while a new file changes to WAL; several processes may open one at once."""
    ends_at = monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute(pragma)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or monotonic() > ends_at:
                raise
            sleep(0.01)
        else:
            return


def replica_engine(address: str) -> Engine:
    """Of another server, which only reads and keeps nobody waiting. Raises ValueError unless it is PostgreSQL."""
    url = _url(address)
    if url.get_backend_name() != "postgresql":
        raise ValueError("a replica is one of PostgreSQL")
    return _postgresql(url.update_query_dict({"connect_timeout": str(REPLICA_SECONDS)}), reads=True)


def _postgresql(url: URL, *, reads: bool) -> Engine:
    # Nothing that lives longer than a transaction: no startup options and no prepared statements, so that a pgbouncer
    # in transaction mode may stand between. Several hosts in the URL are tried in turn (README.md).
    engine = create_engine(url, pool_pre_ping=True, connect_args={"prepare_threshold": None})
    if not reads:
        return engine
    snapshot: Engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return snapshot


_Item = TypeVar("_Item")


def chunks(items: list[_Item]) -> Iterator[list[_Item]]:
    """Lists short enough for one statement's parameters."""
    rest = iter(items)
    while chunk := list(islice(rest, 500)):
        yield chunk
