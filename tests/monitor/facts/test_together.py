"""Several threads and processes at one database."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from monitor.database.tables import BatchRow, Setting
from monitor.facts import Store
from monitor.intake.consequences import open_store
from tests.monitor.conftest import Rows, T, batch, counted, listing, minutes


def test_writers_of_two_stores_take_turns_and_lose_nothing(store: Store, database_url: str, rows: Rows):
    with closing(open_store(database_url)) as other:

        def take(number: int) -> bool:
            facts = [counted(minutes(number), ip=f"192.0.2.{i}") for i in range(20)]
            facts.append(listing(minutes(number), number % 2))
            delivered = batch(f"{number % 40}", *facts)  # every batch is delivered twice
            return [store, other][number % 3 == 0].intake([delivered], minutes(number))[0].new

        with ThreadPoolExecutor(6) as pool:
            new = list(pool.map(take, range(80)))
    assert sum(new) == 40
    assert len(rows(BatchRow)) == 40
    assert store.window_counts(["delivered"], [], T, minutes(80)) == {(): {"delivered": 800}}
    known = [row.known_at for row in rows(BatchRow)]
    assert known == sorted(known)


def test_months_of_readings_are_made_by_whoever_comes_first(store: Store, database_url: str):
    def take(number: int) -> None:
        with closing(open_store(database_url)) as mine:
            facts = [counted(T + timedelta(days=31 * month)) for month in range(12)]
            mine.intake([batch(f"{number}", *facts)], T + timedelta(days=400))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(take, range(8)))
    assert store.window_counts(["delivered"], [], T, T + timedelta(days=400)) == {(): {"delivered": 96}}


def test_a_reader_keeps_its_snapshot_while_a_writer_commits(store: Store):
    store.intake([batch("1", counted(T))], T)
    count = text("SELECT count(*) FROM batch")
    with store.reading_session() as session:
        assert session.execute(count).scalar_one() == 1
        store.intake([batch("2", counted(T))], T)
        assert session.execute(count).scalar_one() == 1
    with store.reading_session() as session:
        assert session.execute(count).scalar_one() == 2


def test_a_session_commits_at_its_end_and_not_on_error(store: Store, rows: Rows):
    with store.session() as session:
        kept = Setting(name="kept", value="1")
        session.add(kept)
    assert kept.value == "1"  # still usable

    def fail() -> None:
        with store.session() as session:
            session.add(Setting(name="lost", value="1"))
            session.flush()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    names = {row.name for row in rows(Setting)}
    assert "kept" in names
    assert "lost" not in names


def test_a_reading_session_cannot_write(store: Store):
    with store.reading_session() as session:
        session.add(Setting(name="x", value="1"))
        with pytest.raises(DBAPIError, match=r"read-?only"):
            session.flush()


def test_a_writer_waits_for_another_session_instead_of_failing(store: Store):
    entered = threading.Event()

    def slow() -> None:
        with store.session() as session:
            session.add(Setting(name="slow", value="1"))
            session.flush()
            entered.set()
            threading.Event().wait(0.3)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(slow)
        entered.wait(10)
        assert store.intake([batch("1", counted(T))], T)[0].new
        waiting.result()
