"""What the tests of `monitor` share: an instant, makers of facts, and a look at any table."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from collectors.observation import Batch, Observation, Subject
from monitor.database.engine import table
from monitor.facts import Store
from monitor.intake.consequences import open_store
from tests.monitor.api.running import Vigie, running

T = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)


def minutes(count: float) -> datetime:
    return T + timedelta(minutes=count)


def counted(at: datetime, value: float | None = 1, *, measure: str = "delivered", **subject: str) -> Observation:
    reason = "timeout" if value is None else None
    return Observation(measure, Subject(**({"customer": "acme"} | subject)), at, value, reason)


def listing(
    at: datetime, value: float | None, *, ip: str = "192.0.2.1", reason: str = "timeout", **detail: Any
) -> Observation:
    details = {"codes": ["127.0.0.2"] if value else [], "ttl_seconds": 300, "weight": 0.5} | detail
    return Observation(
        "listing", Subject(ip=ip, dnsbl="zen"), at, value, reason if value is None else None, details
    )


def batch(key: str, *observations: Observation, source: str = "mta", **more: Any) -> Batch:
    return Batch(source, key, T, observations=observations, **more)


@pytest.fixture
def sqlite_store(migrated_file: Path, tmp_path: Path) -> Iterator[Store]:
    """For what only SQLite has or only one machine can show."""
    with closing(open_store(f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'vigie.sqlite')}")) as store:
        yield store


Rows = Callable[..., list[Any]]


@pytest.fixture
def rows(store: Store) -> Rows:
    """Every row of a table, sorted by its key."""

    def look(model: Any) -> list[Any]:
        with store.reading_session() as session:
            return list(session.execute(select(model).order_by(*table(model).primary_key)).scalars())

    return look


@pytest.fixture
def vigie(store: Store) -> Iterator[Vigie]:
    with running(store) as started:
        yield started
