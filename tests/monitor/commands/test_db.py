"""`vigie db`, as it is typed."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from collectors.observation import Batch, Observation, Subject
from monitor.cli import cli
from monitor.intake.consequences import open_store


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
