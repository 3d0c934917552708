"""A database of the revision before gets the log of counts, and readings already there are counted from roll-ups, on both engines."""

from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import text

from monitor.database.engine import Engines
from monitor.database.schema import migrate
from monitor.intake.consequences import open_store
from monitor.judging.counters import Counters
from tests.monitor.conftest import T, batch, counted


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.real("postgres"))])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'vigie.sqlite'}"
    return request.getfixturevalue("postgres_cluster").fresh_database(migrated=False)


def test_what_was_taken_before_is_counted_and_what_comes_is_followed(url):
    engines = Engines(url)
    migrate(engines, "0010")
    engines.dispose()
    with closing(open_store(url)) as store:
        store.migrate()
        store.intake([batch("before", counted(T))], T)
        with store.engine.begin() as connection:  # as the release before left it
            connection.execute(text("DELETE FROM counted"))
        counters = Counters(store, ["delivered"], timedelta(days=1))
        counters.follow(T)
        store.intake([batch("after", counted(T))], T)
        counters.follow(T)
        assert counters.counts(["delivered"], [], (T, T + timedelta(hours=1))) == {(): {"delivered": 2}}
