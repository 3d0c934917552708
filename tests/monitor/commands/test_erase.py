"""After `vigie erase` nothing in the database leads back to the recipient, on both engines."""

import json
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import JSON, LargeBinary, String, select, text
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel

from collectors.observation import Batch, Evidence, Parked, Subject, Trace
from monitor.cli import cli
from monitor.database.bodies import packed
from monitor.database.partitions import PARTED, ensure_parts
from monitor.database.recipient_keys import form_of
from monitor.database.tables import Customer, Instant, Suppression, TraceRow, Transition
from monitor.database.tables.columns import Digest
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


def shown(value):
    """Bytes as hex, and what is compressed as it was before."""
    if not isinstance(value, memoryview | bytes):
        return value
    try:
        return zlib.decompress(value).decode("utf-8", "replace")
    except zlib.error:
        return bytes(value).hex()


def everything(store):
    """Every value of every row as one text."""
    with store.reading_session() as session:
        return "\n".join(
            repr(list(map(shown, row)))
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


def about(column, store):
    """A value that leads to Ann, wherever the column could hold one."""
    kind = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    if column.table.name == "counted":
        return b""  # numbers of series and what was added to them, packed: no words
    words = f"x {form_of(store.recipient_hash(ANN))} y"
    if column.name == "recipient_ref":
        return store.recipient_ref("acme", ANN)
    if isinstance(column.type, Instant):
        return NOW
    if isinstance(column.type, Digest):
        return store.recipient_hash(ANN)
    if isinstance(kind, LargeBinary):
        return packed(f"Return-Path: <bounces+{ANN.replace('@', '=')}@mx.example>".encode())
    if isinstance(kind, JSON):
        return {"a": [words]}
    return words if isinstance(kind, String) else 1


def name_of(column):
    kind = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    if column.name == "customer" or {key.column.table.name for key in column.foreign_keys} == {"customer"}:
        return "acme"
    if isinstance(column.type, Instant):
        return NOW
    return "name" if isinstance(kind, String) else 1


def test_every_column_of_every_table_is_reached(store, vigie):
    """Keys are names we or operators give, and lead to nobody."""
    with store.session() as session:
        session.add(Customer(id="acme", name="Acme"))
    with store.session() as session:
        for rows in SQLModel.metadata.sorted_tables:
            values = {
                column.name: name_of(column) if column.primary_key or column.foreign_keys or column.name == "customer" else about(column, store)
                for column in rows.columns if column.autoincrement is not True
            }
            if session.get_bind().dialect.name == "postgresql" and rows.name in PARTED:
                ensure_parts(session.connection(), {rows.name: [values[PARTED[rows.name].column]]})
            if rows.name not in {"customer", "job", "setting"}:
                session.execute(rows.insert().values(values))
    leads = [form_of(store.recipient_hash(ANN)), store.recipient_hash(ANN), store.recipient_ref("acme", ANN), "ann=example.org"]
    before = everything(store)
    assert all(lead in before for lead in leads)
    result = vigie("erase", ANN, "--reason", "asked", "--suppressions", "--json")
    assert result.exit_code == 0, result.output
    after = everything(store)
    assert [lead for lead in leads if lead in after] == []
    assert {"trace", "evidence", "parked", "suppression", "incident", "outbox", "transition"} <= json.loads(result.stdout)["rows"].keys()
