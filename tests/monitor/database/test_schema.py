"""The revisions make what the models say, on both engines, whoever starts first."""

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import StatementError
from sqlmodel import SQLModel, select

from collectors.instants import LATEST
from collectors.observation import Evidence, Subject, Trace
from monitor.access.keys import make_key
from monitor.database import revision
from monitor.database.engine import Engines
from monitor.database.revision import OtherSchemaError
from monitor.database.schema import compared, migrate
from monitor.database.tables import ApiKey, BatchRow
from monitor.facts import Store
from monitor.intake.consequences import open_store
from tests.monitor.conftest import Rows, T, batch, counted
from tests.places import ROOT
from tests.waiting import PATIENCE_SECONDS

LOAD = import_module("monitor.database.migrations.versions.0003_load")
MIGRATOR = """
import sys
import threading
from monitor.facts import Store
from monitor.intake.consequences import open_store

print("ready", flush=True)
sys.stdin.readline()
open_store(sys.argv[1]).migrate()
"""


def test_the_revisions_and_the_models_agree(store: Store):
    trace, mail = Trace("bounce", T, Subject(customer="acme")), Evidence("mail", T, b"x")
    store.intake([batch("1", counted(T), traces=(trace,), evidence=(mail,))], T)
    store.roll_up()  # partitions of every table on PostgreSQL
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={
            "include_object": compared(connection.dialect.name), "compare_type": True, "compare_server_default": True,
        })  # fmt: skip
        assert compare_metadata(context, SQLModel.metadata) == []


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.real("postgres"))])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'vigie.sqlite'}"
    return request.getfixturevalue("postgres_cluster").fresh_database(migrated=False)


def test_processes_that_start_at_once_migrate_once(empty_database_url: str):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "cwd": ROOT}
    processes = [subprocess.Popen([sys.executable, "-c", MIGRATOR, empty_database_url], **pipes) for _ in range(4)]
    assert [process.stdout.readline() for process in processes] == [b"ready\n"] * 4
    for process in processes:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=PATIENCE_SECONDS)
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    with closing(open_store(empty_database_url)) as store:
        assert store.info()["revision"] == store.info()["newest_revision"]


def test_migrating_again_changes_nothing_and_info_names_the_revision(store: Store):
    store.migrate()
    info = store.info()
    assert info["revision"] == info["newest_revision"] is not None
    assert info["bytes"] > 0
    assert info["series_count"] == 0


@pytest.mark.parametrize("url", ["mysql://localhost/x", "sqlite://", "sqlite:///:memory:"])
def test_a_database_that_cannot_serve_is_refused(url: str):
    with pytest.raises(ValueError, match=r"sqlite|the store is"):
        open_store(url)


def test_an_instant_nobody_can_hold_is_refused_on_the_way_in_and_read_all_the_same(sqlite_store):
    key, _ = make_key("mta", ["gate"], None, T)
    key.created_at = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(-timedelta(hours=14)))
    with pytest.raises(StatementError, match="between 1970 and 2100"), sqlite_store.session() as session:
        session.add(key)
    with sqlite_store.session() as session:
        session.add(make_key("mta", ["gate"], None, T)[0])
    with sqlite_store.session() as session:  # as an older release may have left it
        session.execute(text("UPDATE api_key SET created_at = 400000000000000000"))
    with sqlite_store.reading_session() as session:
        assert session.exec(select(ApiKey.created_at)).one() == LATEST


def test_a_schema_newer_than_the_program_is_refused_in_one_sentence(store: Store):
    with store.session() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(OtherSchemaError, match="schema 9999, which is newer than this program"):
        store.migrate()


UPGRADED = "UPDATE alembic_version SET version_num = '9999'"
BEING_UPGRADED = "INSERT INTO setting (name, value) VALUES ('migrating', '9999')"
WRITING = {
    "intake": lambda store: store.intake([batch("2", counted(T))], T),
    "session": lambda store: store.session().__enter__(),
    "lease": lambda store: store.claim("judge", "me", T, timedelta(seconds=20)),
    "cursor": lambda store: store.put_cursor("mail", "place", {}, T),
    "roll-up": lambda store: store.roll_up(),
    "following": lambda store: store.cut() if store.engine.dialect.name == "postgresql" else store.prove_writable(T),
}


@pytest.mark.parametrize("writing", WRITING.values(), ids=WRITING)
@pytest.mark.parametrize(("moved", "what"), [(UPGRADED, "was upgraded"), (BEING_UPGRADED, "is being upgraded")])
def test_a_process_that_saw_another_schema_begin_writes_nothing_more(store: Store, rows: Rows, writing, moved, what):
    store.intake([batch("1", counted(T))], T)
    with store.session() as session:
        session.execute(text(moved))
    with pytest.raises(OtherSchemaError, match=f"{what} to schema 9999 while this process.*start it again"):
        writing(store)
    assert [row.key for row in rows(BatchRow)] == ["1"]


def test_a_process_under_way_when_an_upgrade_begins_stops_before_the_first_row_is_moved(empty_database_url: str, monkeypatch):
    """An upgrade that moves rows: the schema's number changes only at its end, and the old process has stopped by then."""
    engines = Engines(empty_database_url)
    migrate(engines, to="0002")
    monkeypatch.setattr(revision, "newest_revision", lambda: "0002")  # as the program of that release has it
    with engines.writing():
        pass
    with engines.alone(any_schema=True) as connection:
        insert_trace = "INSERT INTO trace (batch_id, at, known_at, kind, count) VALUES (1, {at}, {at}, 'bounce', 1)"
        at = "'2026-01-02Z'" if connection.dialect.name == "postgresql" else "0"
        connection.execute(text(insert_trace.format(at=at)))
        LOAD.move(connection)
    with pytest.raises(OtherSchemaError, match="is being upgraded to schema 0003"), engines.writing():
        pass
    engines.dispose()


def test_a_new_file_is_waited_for_while_another_process_has_it(tmp_path):
    path = tmp_path / "vigie.sqlite"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")  # not yet in WAL mode: here SQLite itself would not wait
    threading.Timer(0.3, lambda: (other.execute("COMMIT"), other.close())).start()
    with closing(open_store(f"sqlite:///{path}")) as store:
        store.migrate()
        with store.reading_session() as session:
            assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"
