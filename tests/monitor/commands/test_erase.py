"""After `vigie erase` nothing in the database leads back to the recipient, on both engines."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import select, text
from sqlmodel import SQLModel

from collectors.observation import Batch, Evidence, Parked, Subject, Trace
from monitor.cli import cli
from monitor.database.tables import Customer, Suppression, TraceRow, Transition
from monitor.restrictions import suspensions
from monitor.suppressions.rows import Suppressed, suppress

NOW = datetime.now(UTC) - timedelta(minutes=5)
ANN, BOB = "ann@example.org", "bob@example.org"


@pytest.fixture
def vigie(tmp_path, database_url):
    config = tmp_path / "vigie.yaml"
    config.write_text(json.dumps({"engine": {"url": database_url}}))

    def call(*arguments):
        return CliRunner().invoke(cli, [*arguments, "--config", str(config)])

    return call


@pytest.fixture
def filled(store):
    with store.session() as session:
        session.add(Customer(id="acme", name="Acme"))
        suspensions.hold(session, scope={"customer": "acme"}, effect="hold", actor="dana", reason=f"{ANN} called", now=NOW)
        suppress(session.connection(), [
            Suppressed("acme", store.recipient_ref("acme", each), "complaint", "", NOW, "test") for each in (ANN, BOB)
        ], NOW)
    traces = tuple(
        Trace("bounce", NOW, Subject("acme"), recipient=each, message_id=f"<{each.replace('@', '=')}.1@mx.example>",
              text=f"550 {each} unknown")
        for each in (ANN, BOB)
    )
    evidence = tuple(Evidence("mail", NOW, f"To: {each.upper()}\n".encode()) for each in (ANN, BOB))
    parked = tuple(Parked("box/1", "unreadable", f"for {each}", f"To: {each}".encode()) for each in (ANN, BOB))
    store.intake([Batch("mail", "1", NOW, (), traces[:1], evidence[:1], parked[:1])], NOW)
    store.intake([Batch("mail", "2", NOW, (), traces[1:], evidence[1:], parked[1:])], NOW)
    return store


def everything(store):
    """Every value of every row as one text."""
    with store.reading_session() as session:
        return "\n".join(
            repr([bytes(value).hex() if isinstance(value, memoryview | bytes) else value for value in row])
            for each in SQLModel.metadata.sorted_tables for row in session.execute(text(f'SELECT * FROM "{each.name}"'))
        )


def test_nothing_leads_back_and_the_others_stay(filled, vigie):
    digest, ref = filled.recipient_hash(ANN), filled.recipient_ref("acme", ANN)
    before = everything(filled)
    assert digest[:16] in before
    assert ref in before

    result = vigie("erase", ANN, "--reason", f"{ANN} wrote to us", "--suppressions", "--json")

    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["rows"]
    assert {name: rows[name] for name in ("trace", "evidence", "parked", "suppression", "suspension", "transition")} == {
        "trace": 1, "evidence": 1, "parked": 1, "suppression": 1, "suspension": 1, "transition": 1,
    }
    after = everything(filled)
    assert digest[:16] not in after
    assert ref not in after
    assert filled.recipient_hash(BOB)[:16] in after
    with filled.reading_session() as session:
        assert len(session.scalars(select(TraceRow)).all()) == 2
        assert "recipient:erased called" in session.scalars(select(Transition.why)).all()


def test_suppressions_are_kept_unless_asked_for(filled, vigie):
    result = vigie("erase", ANN, "--reason", "asked by letter", "--json")
    assert json.loads(result.stdout)["suppressions_kept"] == 1
    with filled.reading_session() as session:
        assert len(session.scalars(select(Suppression)).all()) == 2
    again = vigie("erase", "nobody@example.org", "--reason", "asked by letter")
    assert (again.exit_code, "nothing of this recipient was found" in again.output) == (1, True)


def test_what_is_no_address_or_has_no_reason_is_refused(filled, vigie):
    assert vigie("erase", "ann", "--reason", "x").exit_code == 2
    assert vigie("erase", ANN, "--reason", " ").exit_code == 2
