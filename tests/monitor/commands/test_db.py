"""`vigie db`, as it is typed."""

import json
import shutil
import sqlite3
import threading
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from collectors.observation import Batch, Observation, Subject, Trace
from monitor.cli import cli
from monitor.intake.consequences import open_store
from tests.waiting import eventually

NOW = datetime(2026, 1, 2, 3, tzinfo=UTC)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "vigie.yaml"
    path.write_text("engine: {url: 'sqlite:///vigie.sqlite', retention: {readings: 10d, hourly: 20d, daily: 30d}}")
    return path


def vigie(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def printed(*arguments: object) -> dict:
    result = vigie(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_info_of_a_new_database_says_there_is_no_schema_yet_and_migrate_makes_it(config: Path):
    before = printed("db", "info", "--config", config)
    assert (before["engine"], before["revision"], before["series_count"]) == ("sqlite", None, None)
    migrated = printed("db", "migrate", "--config", config)
    after = printed("db", "info", "--config", config)
    assert migrated["revision"] == after["revision"] == after["newest_revision"] == before["newest_revision"]
    assert after["series_count"] == 0


def test_prune_says_what_went(config: Path, tmp_path: Path):
    vigie("db", "migrate", "--config", config)
    store = open_store(f"sqlite:///{tmp_path / 'vigie.sqlite'}")
    old = datetime(2020, 1, 2, tzinfo=UTC)
    store.intake([Batch("mta", "1", old, (Observation("delivered", Subject(), old, 1.0),))], old)
    store.close()
    assert printed("db", "prune", "--config", config)["reading"] == 1
    assert printed("db", "prune", "--config", config)["reading"] == 0


def test_for_people_it_is_a_plain_list(config: Path):
    lines = vigie("db", "migrate", "--config", config).output.splitlines()
    assert lines[0].split() == ["engine", "sqlite"]


def test_a_retention_that_contradicts_itself_and_a_missing_file_end_with_2(config: Path, tmp_path: Path):
    config.write_text("engine: {retention: {readings: 10d, hourly: 5d}}")
    contradiction = vigie("db", "prune", "--config", config)
    assert contradiction.exit_code == 2
    assert "hourly" in contradiction.output
    assert vigie("db", "info", "--config", tmp_path / "none.yaml").exit_code == 2


def test_a_database_out_of_reach_ends_with_3(config: Path):
    config.write_text("engine: {url: 'postgresql://nobody@127.0.0.1:1/none'}")
    assert vigie("db", "info", "--config", config).exit_code == 3


def filled(url: str, count: int = 3) -> None:
    with closing(open_store(url)) as store:
        store.migrate()
        for number in range(count):
            facts = (Observation("delivered", Subject(customer="acme"), NOW, 1.0),)
            store.intake([Batch("mta", str(number), NOW, facts, (Trace("bounce", NOW, Subject(customer="acme")),))], NOW)


def batches(url: str) -> int:
    with closing(open_store(url)) as store:
        return int(str(store.info()["batch_count"]))


@pytest.fixture
def configured(database_url: str, tmp_path: Path) -> Path:
    path = tmp_path / "configured.yaml"
    path.write_text(f"engine: {{url: '{database_url}'}}")
    return path


def test_info_names_rows_and_bytes_of_each_table(configured: Path, database_url: str):
    filled(database_url)
    tables = {each["table"]: each for each in printed("db", "info", "--config", configured)["tables"]}
    assert {"reading", "trace", "series", "batch"} <= tables.keys()
    assert tables["trace"]["bytes"] > 0
    if database_url.startswith("sqlite"):
        assert tables["trace"]["rows"] == 3
    else:  # the month goes when it is over and traces have been kept for their time
        assert tables["trace"]["frees_at"] == "2026-05-02T00:00:00Z"
    assert any(line.startswith("trace ") for line in vigie("db", "info", "--config", configured).output.splitlines())


def test_a_backup_taken_while_batches_come_in_is_whole_and_restores(configured: Path, database_url: str, tmp_path: Path):
    filled(database_url)
    stop, written = threading.Event(), []

    def write() -> None:
        with closing(open_store(database_url)) as store:
            while not stop.is_set():
                facts = (Observation("delivered", Subject(customer="bolt"), NOW, 1.0),) * 50
                traces = (Trace("bounce", NOW, Subject(customer="bolt")),) * 7
                store.intake([Batch("more", str(len(written)), NOW, facts, traces)], NOW)
                written.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    eventually(lambda: len(written) > 2)
    made = printed("db", "backup", tmp_path / "copy", "--config", configured)
    stop.set()
    writer.join()
    assert made["bytes"] == (tmp_path / "copy").stat().st_size > 0
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
    assert vigie("db", "backup", tmp_path / "copy", "--config", configured).exit_code == 2  # never over another file

    refused = vigie("db", "restore", tmp_path / "copy", "--config", configured)
    assert refused.exit_code == 2
    assert "not empty" in refused.output
    printed("db", "restore", tmp_path / "copy", "--force", "--config", configured)
    with closing(open_store(database_url)) as store, store.reading_session() as session:
        counted = Counter(session.execute(text("SELECT batch_id FROM trace")).scalars())
        ids = session.execute(text("SELECT id FROM batch WHERE source = 'more'")).scalars().all()
    assert len(ids) > 1
    assert [counted[each] for each in ids] == [7] * len(ids)
    filled(database_url, 5)  # it goes on: three are known, two are new
    assert batches(database_url) == len(ids) + 5


def test_what_is_no_backup_is_refused_and_changes_nothing(configured: Path, database_url: str, tmp_path: Path):
    filled(database_url)
    (tmp_path / "no").write_text("no backup")
    refused = vigie("db", "restore", tmp_path / "no", "--force", "--config", configured)
    assert refused.exit_code == 2
    assert "Traceback" not in refused.output
    assert batches(database_url) == 3


@pytest.mark.parametrize("place", ["missing/copy", "file/copy"])
def test_a_backup_that_cannot_be_written_is_one_sentence(configured: Path, database_url: str, tmp_path: Path, place: str):
    filled(database_url)
    (tmp_path / "file").write_text("no folder")
    refused = vigie("db", "backup", tmp_path / place, "--config", configured)
    assert (refused.exit_code, len(refused.output.splitlines())) == (2, 1)
    assert f"{tmp_path / place} cannot be written" in refused.output


def test_a_schema_newer_than_the_program_ends_with_2_and_one_sentence(configured: Path, database_url: str):
    filled(database_url)
    with closing(open_store(database_url)) as store, store.session() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    refused = vigie("db", "migrate", "--config", configured)
    assert (refused.exit_code, len(refused.output.splitlines())) == (2, 1)
    assert "newer than this program" in refused.output


def test_the_database_file_is_nobody_elses_to_read(config: Path, tmp_path: Path):
    vigie("db", "migrate", "--config", config)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("vigie.sqlite*")} == {0o600}


@pytest.mark.parametrize("command", [["db", "migrate"], ["db", "prune"], ["serve"], ["keys", "list"]])
def test_a_program_older_than_the_schema_ends_with_a_sentence(config: Path, tmp_path: Path, command: list[str]):
    vigie("db", "migrate", "--config", config)
    with closing(open_store(f"sqlite:///{tmp_path / 'vigie.sqlite'}")) as store, store.session() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    result = vigie(*command, "--config", config)
    assert result.exit_code == 2
    assert "the database has schema 9999, which is newer than this program" in result.output
    assert "run the newer Vigie, or restore the backup" in result.output


def test_a_file_that_is_no_database_or_cannot_be_made_is_named_with_what_to_do(config: Path):
    file = config.parent / "vigie.sqlite"
    file.write_bytes(b"no database " * 1000)
    refused = vigie("db", "info", "--config", config)
    assert (refused.exit_code, refused.stderr) == (3, f"Error: {file} is no SQLite database; move it away or correct engine.url\n")
    config.write_text(f"engine: {{url: 'sqlite:///{file}/below.sqlite'}}")
    refused = vigie("db", "info", "--config", config)
    assert (refused.exit_code, refused.stderr) == (
        3, f"Error: {file}/below.sqlite cannot be opened; check the folder and its owner\n")


def test_a_backup_of_before_the_upgrade_is_the_way_back(config: Path, tmp_path: Path):
    before = printed("db", "migrate", "--config", config)["revision"]
    printed("db", "backup", tmp_path / "before-upgrade", "--config", config)
    with closing(open_store(f"sqlite:///{tmp_path / 'vigie.sqlite'}")) as store, store.session() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert printed("db", "restore", tmp_path / "before-upgrade", "--force", "--config", config)["revision"] == before
    assert vigie("db", "migrate", "--config", config).exit_code == 0


def test_a_plain_copy_of_a_running_file_lacks_what_is_in_the_log_and_a_backup_does_not(config: Path, tmp_path: Path):
    vigie("db", "migrate", "--config", config)
    with closing(open_store(f"sqlite:///{tmp_path / 'vigie.sqlite'}")) as store:
        store.intake([Batch("mta", "1", NOW)], NOW)
        shutil.copy(tmp_path / "vigie.sqlite", tmp_path / "copy.sqlite")
        store.backup(tmp_path / "backup.sqlite")
    shutil.copy(tmp_path / "vigie.sqlite", tmp_path / "stopped.sqlite")  # whoever stops folds the log into the file

    def taken(name: str) -> int:
        with closing(sqlite3.connect(tmp_path / name)) as copy:
            return int(copy.execute("SELECT count(*) FROM batch").fetchone()[0])

    assert [taken(name) for name in ("copy.sqlite", "backup.sqlite", "stopped.sqlite")] == [0, 1, 1]
