"""Readings of too many new series: `vigie events ingest` names their lines, `vigie mail parked retry` counts them later."""

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from collectors.observation import Batch, Observation, Subject
from monitor.cli import cli
from monitor.config.settings import NewSeries
from monitor.intake.consequences import open_store

NOW = datetime.now(UTC)


@pytest.fixture
def url(migrated_file: Path, tmp_path: Path) -> str:
    (tmp_path / "vigie.sqlite").write_bytes(migrated_file.read_bytes())
    return f"sqlite:///{tmp_path / 'vigie.sqlite'}"


def vigie(tmp_path: Path, limit: int, *arguments: str, stdin: str | None = None) -> Result:
    config = tmp_path / "vigie.yaml"
    config.write_text(f"engine: {{url: 'sqlite:///vigie.sqlite', new_series: {{per_customer: {limit}}}}}")
    return CliRunner().invoke(cli, [*arguments, "--config", str(config)], input=stdin)


def readings(url: str) -> list[str]:
    with closing(open_store(url)) as store:
        counts = store.window_counts(["complaint", "delivered"], ["campaign"], datetime(2026, 1, 1, tzinfo=UTC), datetime.now(UTC))
    return sorted(str(campaign) for (campaign,), counted in counts.items() if counted)


def test_lines_that_were_not_counted_are_named(url: str, tmp_path: Path):
    lines = [json.dumps({"at": NOW.isoformat(), "outcome": "delivered", "customer": "acme", "campaign": name}) for name in "abc"]
    done = vigie(tmp_path, 2, "events", "ingest", "--format", "generic", stdin="\n".join(lines))
    assert done.exit_code == 0
    assert "line 3: customer acme: 2 new series were made today, the most (engine.new_series.per_customer)" in done.stderr
    assert "2 accepted, 1 rejected" in done.stdout
    assert readings(url) == ["a", "b"]


def test_what_mails_said_beyond_the_limit_waits_until_it_is_raised(url: str, tmp_path: Path):
    facts = tuple(Observation("complaint", Subject(customer="acme", campaign=name), NOW, 1.0) for name in "abcd")
    with closing(open_store(url, new_series=NewSeries(per_customer=1))) as store:
        store.intake([Batch("mail", "mail:1", NOW, facts)], NOW)
    assert readings(url) == ["a"]
    listed = vigie(tmp_path, 2, "mail", "parked", "list", "--reason", "series_limit").stdout
    assert "series_limit: customer acme: 1 new series were made today" in listed
    some = vigie(tmp_path, 2, "mail", "parked", "retry", "--reason", "series_limit")
    assert (some.exit_code, some.stdout) == (1, "1: parked: 1 of 3 readings counted, the others are parked anew\n")
    rest = vigie(tmp_path, 9, "mail", "parked", "retry", "--reason", "series_limit")
    assert (rest.exit_code, rest.stdout) == (0, "2: 2 of 2 readings counted\n")
    assert readings(url) == ["a", "b", "c", "d"]
    assert vigie(tmp_path, 9, "mail", "parked", "list").stdout == ""
