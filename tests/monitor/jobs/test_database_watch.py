"""A database that cannot be written is said by a way that needs no database, once, and taken back once."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text

from monitor.jobs.database_watch import FAILURES_TO_NOTIFY, DatabaseWatch
from monitor.notify.sender import Sent

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Receiver:
    def __init__(self):
        self.sent, self.answer = [], None

    def send(self, message):
        self.sent.append((message.key, message.event, message.severity, message.title))
        return Sent(self.answer)


@contextmanager
def refusing(store):
    """SQLite as it answers where the file may not be written."""
    def refuse(connection, _):
        connection.execute("PRAGMA query_only = ON")

    store.engine.dispose()
    event.listen(store.engine, "connect", refuse)
    yield
    event.remove(store.engine, "connect", refuse)
    store.engine.dispose()


@contextmanager
def read_only(store):
    """PostgreSQL as a standby answers."""
    name = store.engine.url.database
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
    store.engine.dispose()
    yield
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET default_transaction_read_only = off"))
        connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = off'))
    store.engine.dispose()


@pytest.fixture
def unwritable(store):
    return refusing if store.engine.dialect.name == "sqlite" else read_only


def test_a_database_that_cannot_be_written_is_said_once_and_taken_back_once(store, unwritable):
    receiver, times = Receiver(), iter(NOW + timedelta(seconds=10 * number) for number in range(100))
    watch = DatabaseWatch(store, {"on-call": receiver}, lambda: next(times))
    watch.look()
    assert (watch.fault, receiver.sent) == (None, [])
    with unwritable(store):
        for _ in range(FAILURES_TO_NOTIFY + 2):
            watch.look()
        assert watch.fault is not None
        assert watch.fault.startswith("the database cannot be written: ")
    watch.look()
    watch.look()
    assert watch.fault is None
    assert [(key, what, severity) for key, what, severity, _ in receiver.sent] == [
        ("database:20260105T120010Z:firing:on-call", "firing", "critical"),
        ("database:20260105T120010Z:resolved:on-call", "resolved", "critical"),
    ]


def test_a_receiver_that_fails_is_tried_again_and_one_hiccup_is_no_news(store, unwritable):
    receiver = Receiver()
    watch = DatabaseWatch(store, {"on-call": receiver}, lambda: NOW)
    with unwritable(store):
        watch.look()
    watch.look()
    assert receiver.sent == []
    receiver.answer = "no answer"
    with unwritable(store):
        for _ in range(FAILURES_TO_NOTIFY + 1):
            watch.look()
        assert len(receiver.sent) == 2
        receiver.answer = None
        watch.look()
        watch.look()
        assert len(receiver.sent) == 3


def test_a_schema_that_was_upgraded_is_said_and_nobody_is_notified(store):
    receiver = Receiver()
    watch = DatabaseWatch(store, {"on-call": receiver}, lambda: NOW)
    with store.session() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for _ in range(FAILURES_TO_NOTIFY):
        watch.look()
    assert "upgraded to schema 9999 while this process" in watch.fault
    assert receiver.sent == []
