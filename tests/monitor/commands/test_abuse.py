import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from collectors.observation import Batch, Subject, Trace
from monitor.abuse.rows import open_cases
from monitor.cli import cli
from monitor.database.tables import Customer

NOW = datetime.now(UTC)


@pytest.fixture
def vigie(tmp_path, database_url):
    """Run `vigie abuse …` against a configuration of its own."""
    path = tmp_path / "vigie.yaml"
    path.write_text(json.dumps({"engine": {"url": database_url}}))

    def call(*arguments, code=0):
        result = CliRunner(env={"VIGIE_CONFIG": str(path)}).invoke(cli, ["abuse", *map(str, arguments)])
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def case_id(store):
    at = NOW - timedelta(days=2)
    with store.session() as session:
        session.add(Customer(id="acme", name="Acme"))
    letter = Trace("abuse_letter", at, Subject(ip="192.0.2.1"), text="Phishing from you")
    store.intake([Batch("mail", "k", at, (), (letter,))], at)
    (made,) = open_cases(store, at)
    return made


def rows(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_case_is_listed_assigned_noted_closed_and_shown(vigie, case_id):
    text = vigie("list").stdout
    assert text.startswith(f"{case_id}  phishing  192.0.2.1: open, due ")
    assert ", overdue; 1 report since" in text
    (row,) = rows(vigie("assign", case_id, "--waits-for", "customer", "--customer", "acme", "--to", "kim", "--reason", "asked",
                        "--json"))
    assert (row["state"], row["customer"], row["assignee"]) == ("waiting_customer", "acme", "kim")
    vigie("note", case_id, "--reason", "they say it was a test")
    assert "closed, since" in vigie("close", case_id, "--reason", "page is gone").stdout
    assert rows(vigie("list", "--json")) == []
    assert [each["id"] for each in rows(vigie("list", "--show", "closed", "--customer", "acme", "--json"))] == [case_id]
    case, *changes = rows(vigie("show", case_id, "--json"))
    assert (case["id"], [change["why"] for change in changes[1:]]) == (case_id, ["asked", "they say it was a test", "page is gone"])
    assert "they say it was a test" in vigie("show", case_id).stdout


def test_what_nobody_could_mean_is_refused_with_its_cause(vigie, case_id):
    assert "no abuse case" in vigie("show", "abu-nope", code=2).stderr
    assert "no abuse case" in vigie("close", "abu-nope", "--reason", "x", code=2).stderr
    assert "say what to change" in vigie("assign", case_id, "--reason", "x", code=2).stderr
    assert "no customer" in vigie("assign", case_id, "--customer", "nobody", "--reason", "x", code=2).stderr
    assert "--reason" in vigie("close", case_id, code=2).stderr
    vigie("assign", case_id, "--kind", "rudeness", "--reason", "x", code=2)
