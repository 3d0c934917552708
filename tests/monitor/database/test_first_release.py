"""A database of the first release is brought up to date with all it holds, also when that is killed again and again, at any
statement of any revision."""

import random
import re
import signal
from contextlib import closing
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import bindparam, event, text
from sqlalchemy.exc import PendingRollbackError

from monitor.database import moving, schema
from monitor.database.engine import Engines
from monitor.database.paging import Page
from monitor.database.revision import newest_revision, scripts
from monitor.database.tables import Daily, EvidenceRow, Hourly, Instant, Latest, Suppression, TraceRow
from monitor.facts import Store
from monitor.facts.traces import Traced, find_traces
from monitor.intake.consequences import open_store
from tests.monitor.conftest import Rows, T, batch, counted
from tests.servers.forked import Forked

TRACES, SERIES, HOURS = 400, 30, 6


def migrate(url: str) -> None:
    """Moves few rows at a time, so that there are many moments to die in."""
    moving.ROWS = 15
    open_store(url).migrate()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.real("postgres"))])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database as revision 0001 left it, full."""
    url = f"sqlite:///{tmp_path / 'vigie.sqlite'}"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_cluster").fresh_database(migrated=False)
    engines = Engines(url)
    schema.migrate(engines, to="0001")
    with engines.alone(any_schema=True) as connection:
        fill(connection)
    engines.dispose()
    return url


@pytest.fixture
def store(database_url: str):
    """Opened, not yet migrated."""
    with closing(open_store(database_url)) as opened:
        yield opened


def insert(connection, name: str, rows: list[dict]) -> None:
    instants = [column for column in rows[0] if column.endswith("at") or column in {"start", "since"}]
    columns = ", ".join(rows[0])
    statement = text(f"INSERT INTO {name} ({columns}) VALUES ({', '.join(f':{column}' for column in rows[0])})")
    connection.execute(statement.bindparams(*(bindparam(column, type_=Instant) for column in instants)), rows)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.real("postgres"))])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new.sqlite'}"
    return request.getfixturevalue("postgres_cluster").fresh_database(migrated=False)


def fill(connection) -> None:
    at = [T + timedelta(hours=3 * number) for number in range(TRACES)]  # fifty days
    insert(connection, "batch", [
        {"source": "events/generic" if n % 2 else "bounces", "key": str(n), "at": at[n], "known_at": at[n],
         "observations": 1, "traces": 1, "parked": 0} for n in range(TRACES - 1)
    ])
    insert(connection, "trace", [
        {"batch_id": n + 1, "at": at[n], "known_at": at[n], "kind": "bounce", "customer": "acme" if n % 3 else None,
         "campaign": f"c{n % 5}", "ip": "192.0.2.1", "recipient_hash": sha256(str(n).encode()).hexdigest() if n % 4 else None,
         "message_id": f"<{n}@acmé.example>" if n % 2 else None, "text": f"text {n}", "count": 1} for n in range(TRACES)
    ])
    insert(connection, "evidence", [
        {"batch_id": n + 1, "kind": "mail", "at": at[n], "sha256": "", "body": b"x" * n, "expires_at": at[n] + timedelta(days=30)}
        for n in range(50)
    ])
    insert(connection, "series", [
        {"measure": "delivered" if n % 2 else "listing", "key": str(n), "customer": "acme"} for n in range(SERIES)
    ])
    insert(connection, "latest", [
        {"series_id": n + 1, "asked_at": T, "value": 1.0, "detail": "{}"} for n in range(SERIES)
    ])
    for name, step in [("reading_hourly", timedelta(hours=300)), ("reading_daily", timedelta(days=100))]:
        insert(connection, name, [
            {"series_id": n + 1, "start": (T + hour * step).replace(minute=0, hour=0), "readings": 2, "unknowns": 0,
             "total": float(n + hour)} for n in range(SERIES) for hour in range(HOURS)
        ])
    insert(connection, "suppression", [
        {"customer": f"c{n}", "recipient_ref": "r", "reason": "manual", "stream": "", "since": T, "known_at": T, "source": "x"}
        for n in range(20)
    ])


def check(store: Store, rows: Rows) -> None:
    traces = sorted(rows(TraceRow), key=lambda row: row.id)
    assert [row.text for row in traces] == [f"text {n}" for n in range(TRACES)]
    assert [row.customer for row in traces] == ["acme" if n % 3 else None for n in range(TRACES)]
    wanted = [sha256(str(n).encode()).hexdigest()[:32] if n % 4 else None for n in range(TRACES)]
    assert [row.recipient_hash for row in traces] == wanted
    assert {row.source for row in traces} == {"events/generic", "bounces", ""}  # of one the batch is gone
    for spelling in ("<7@acmé.example>", "7@acmé.example"):
        with store.reading_session() as session:
            page = find_traces(store, session, Traced(message_id=spelling), Page(9))
        assert [row.text for row in page.rows] == ["text 7"]
    assert sorted(len(row.body) for row in rows(EvidenceRow)) == list(range(50))
    for model in (Hourly, Daily):
        assert sorted((row.series_id, row.total) for row in rows(model)) == [
            (n + 1, n + hour) for n in range(SERIES) for hour in range(HOURS)
        ]
    assert [row.series_id for row in rows(Latest)] == [n + 1 for n in range(0, SERIES, 2)]  # states only
    assert len(rows(Suppression)) == 20
    assert store.info()["revision"] == store.info()["newest_revision"]
    with store.reading_session() as session:
        assert session.execute(text("SELECT count(*) FROM setting WHERE name LIKE 'migration:%'")).scalar_one() == 0


def test_everything_is_there_afterwards_and_the_database_goes_on(store: Store, rows: Rows, capfd):
    store.migrate()
    check(store, rows)
    assert f"trace: {TRACES} rows before, {TRACES} after" in capfd.readouterr().err
    store.intake([batch("new", counted(T + timedelta(days=400)))], T + timedelta(days=400))
    store.roll_up()
    assert len(rows(Hourly)) == SERIES * HOURS + 1


def test_killed_again_and_again_it_goes_on_where_it_stopped(store: Store, database_url: str, rows: Rows):
    chance = random.Random(3)
    killed, first_lines = 0, []
    while True:
        migrator = Forked(migrate, database_url)
        lines = [migrator.lines.readline()]
        first_lines += lines
        for _ in range(chance.randrange(6)):
            lines.append(migrator.lines.readline())
        if b"" in lines:
            assert migrator.gone() == 0, lines
            break
        migrator.kill()
        assert migrator.gone() == -signal.SIGKILL
        killed += 1
    assert killed > 3
    begun_at = [int(match[1]) for line in first_lines if (match := re.search(rb"trace: moved up to id (\d+)", line))]
    assert begun_at == sorted(begun_at)  # the piece that was cut short again, never what was moved before
    assert begun_at[0] < begun_at[-1]
    check(store, rows)


class Dead(BaseException):
    """Nothing after it is done; what was not committed is gone, as after kill -9."""


class Mortal:
    """Engines whose process dies before the statement (or commit) of this number, counted from 1."""

    def __init__(self, url: str, number: int) -> None:
        self.engines, self.commits, self._left = Engines(url), 0, number
        event.listen(self.engines.write, "before_cursor_execute", self._lived)
        event.listen(self.engines.write, "commit", self._committing)

    def _lived(self, *_) -> None:
        self._left -= 1
        if self._left <= 0:  # nor does any tidying up get further
            raise Dead

    def _committing(self, *_) -> None:
        self._lived()
        self.commits += 1


def migrate_dying(url: str, *, later: int = 1) -> dict[str | None, int]:
    """Each process dies so many statements later than the one before, until one gets past a commit: then from the next on.

    Returns how often it died while the database had each revision.
    """
    with closing(open_store(url)) as store:
        return _migrate_dying(store, url, later)


def _migrate_dying(store: Store, url: str, later: int) -> dict[str | None, int]:
    died: dict[str | None, int] = {}
    number = 1
    while True:
        mortal = Mortal(url, number)
        try:
            schema.migrate(mortal.engines)
        except (Dead, PendingRollbackError):
            has = store.info()["revision"]
            died[has] = died.get(has, 0) + 1
        else:
            return died
        finally:
            mortal.engines.dispose()
        number = 1 if mortal.commits else number + later


def test_dead_at_any_statement_of_any_revision_the_next_process_goes_on(store: Store, database_url: str, rows: Rows, monkeypatch):
    monkeypatch.setattr(moving, "ROWS", 250)
    died = migrate_dying(database_url)
    with store.reading_session() as session:
        assert session.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == newest_revision()
    # in each of them, and in the end while it saw that nothing is left to do
    assert set(died) == {script.revision for script in scripts().walk_revisions()}
    assert sum(died.values()) > 60
    check(store, rows)


def test_dead_while_a_new_database_is_made_the_next_process_makes_it(empty_database_url: str):
    died = migrate_dying(empty_database_url, later=9)  # the first revision is one long transaction
    assert died[None] > 5
    with closing(open_store(empty_database_url)) as store:
        assert store.info()["revision"] == store.info()["newest_revision"]
        assert store.intake([batch("1", counted(T))], T)[0].new
