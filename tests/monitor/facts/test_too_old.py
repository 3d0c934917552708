"""A date nobody keeps anything of makes no rows and no partitions; what it said is parked, and says so."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from collectors.observation import Subject, Trace
from monitor.config.settings import Retention
from monitor.database.tables import Hourly, ParkedRow, Reading, TraceRow
from monitor.facts import Store
from monitor.facts.parked import body_of
from monitor.intake.consequences import open_store
from tests.monitor.conftest import Rows, T, batch, counted

FORGED = [datetime(year, month, 3, tzinfo=UTC) for year in range(1970, 2026) for month in range(1, 13)]


def partitions(store: Store) -> int:
    with store.reading_session() as session:
        return session.execute(text(
            "SELECT count(*) FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE relkind = 'r'"
        )).scalar_one()


def test_dates_since_1970_make_no_more_partitions_than_retention_has_months(store: Store, rows: Rows):
    traces = tuple(Trace("bounce", at, Subject(customer="acme"), recipient="ann@example.org") for at in FORGED)
    store.intake([batch("1", *(counted(at) for at in FORGED), counted(T), traces=traces)], T)
    store.roll_up()
    kept = [at for at in FORGED if at >= T - Retention().daily]
    assert [row.at for row in rows(Reading)] == [*kept, T]
    assert {row.at for row in rows(TraceRow)} == set(kept)
    assert len(rows(Hourly)) == len(kept) + 1
    if store.engine.dialect.name == "postgresql":
        assert partitions(store) <= 3 * 62 + 7  # months of readings, hours and traces; years of days
    [parked] = rows(ParkedRow)
    assert parked.reason == "too_old"
    assert parked.text.startswith(f"{2 * (len(FORGED) - len(kept))} facts dated before 2020-12-29")
    with store.reading_session() as session:
        lines = [json.loads(line) for line in body_of(session, parked.id).splitlines()]
    assert len(lines) == 2 * (len(FORGED) - len(kept))
    assert (lines[0]["measure"], lines[0]["value"], lines[-1]["recipient"]) == ("delivered", 1.0, "ann@example.org")


def test_what_is_kept_longer_is_believed_longer(database_url: str):
    old = T - timedelta(days=3000)
    for days, count in ((4000, 1), (1000, 0)):
        keep = Retention(daily=timedelta(days=days))
        with closing(open_store(database_url, keep=keep)) as store:
            store.migrate()
            [taken] = store.intake([batch(str(days), counted(old))], T)
            assert (taken.new, len(taken.batch.observations), len(taken.batch.parked)) == (True, count, 1 - count)


def test_a_repeat_of_what_was_parked_is_a_repeat(store: Store, rows: Rows):
    for _ in range(2):
        taken = store.intake([batch("1", counted(FORGED[0]))], T)
    assert not taken[0].new
    assert len(rows(ParkedRow)) == 1
