"""What was stored under words that were replaced is read under those that replaced them."""

from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import column, insert, table
from sqlmodel import select

from monitor.database.engine import Engines
from monitor.database.schema import migrate
from monitor.database.tables import Instant, Outbox
from monitor.intake.consequences import open_store
from monitor.notify.message import Event
from tests.monitor.conftest import T

OLD = ("firing", "grown", "resolved")
COLUMNS = ("key", "incident_id", "receiver", "event", "severity", "title", "body", "state", "attempts")


@pytest.mark.parametrize("engine", ["sqlite", pytest.param("postgres", marks=pytest.mark.real("postgres"))])
def test_notifications_that_wait_are_sent_under_the_new_words(engine: str, tmp_path: Path, request: pytest.FixtureRequest):
    url = (
        f"sqlite:///{tmp_path / 'vigie.sqlite'}" if engine == "sqlite"
        else request.getfixturevalue("postgres_cluster").fresh_database(migrated=False)
    )  # fmt: skip
    engines = Engines(url)
    migrate(engines, to="0005")
    outbox = table("outbox", *map(column, COLUMNS), column("created_at", Instant()), column("next_attempt_at", Instant()))
    rows = [
        {"key": f"inc-1:{event}:chat", "incident_id": "inc-1", "receiver": "chat", "event": event, "severity": "warning",
         "title": "t", "body": "b", "state": "waiting", "attempts": 0, "created_at": T, "next_attempt_at": T}
        for event in OLD
    ]
    with engines.alone(any_schema=True) as connection:
        connection.execute(insert(outbox), rows)
    engines.dispose()
    with closing(open_store(url)) as store:
        store.migrate()
        with store.reading_session() as session:
            assert [Event(row.event) for row in session.exec(select(Outbox).order_by(Outbox.id))] == [
                Event.FIRING, Event.WORSENED, Event.RESOLVED
            ]
