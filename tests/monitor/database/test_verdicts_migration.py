"""Open incidents of the releases before go on in their state, with the timer that ran, on both engines."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import JSON, column, insert, table

from monitor.database.engine import Engines
from monitor.database.schema import migrate
from monitor.database.tables import Instant, VerdictRow
from monitor.facts import Store
from monitor.intake.consequences import open_store
from tests.monitor.conftest import Rows, T, minutes

_TYPES = dict.fromkeys(("started_at", "judged_at", "counted_until", "ended_at"), Instant()) | dict.fromkeys(
    ("subject", "evidence", "notified_members"), JSON())


def incident(name: str, state: str, **more: object) -> dict[str, object]:
    return {
        "id": name, "rule": "rate", "subject_key": f"customer={name}", "open_key": name, "subject": {"customer": name},
        "state": state, "severity": "critical", "summary": "it is high", "evidence": {}, "elapsed_seconds": 90.0,
        "started_at": T, "judged_at": minutes(8), "counted_until": minutes(7), "notified_members": [], "unknown_reason": None,
        "ended_at": None, **more,
    }  # fmt: skip


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.real("postgres"))])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store of the revision before, with two open incidents and one that ended, brought to the newest."""
    url = (
        f"sqlite:///{tmp_path / 'vigie.sqlite'}" if request.param == "sqlite"
        else request.getfixturevalue("postgres_cluster").fresh_database(migrated=False)
    )  # fmt: skip
    rows = [
        incident("acme", "pending"), incident("bolt", "firing", counted_until=None, unknown_reason="stale"),
        incident("gone", "ok", ended_at=minutes(8)),
    ]  # fmt: skip
    engines = Engines(url)
    migrate(engines, to=BEFORE)
    with engines.alone(any_schema=True) as connection:
        for row in rows:
            connection.execute(insert(table("incident", *(column(each, _TYPES.get(each)) for each in row))), [row])
    engines.dispose()
    with closing(open_store(url)) as opened:
        opened.migrate()
        yield opened


BEFORE = "0009"


def test_open_incidents_have_a_verdict_with_their_timer(store: Store, rows: Rows):
    kept = {row.key: (row.rule, row.state, row.elapsed_seconds, row.counted_until, row.reason) for row in rows(VerdictRow)}
    assert kept == {
        "customer=acme": ("rate", "pending", 90.0, minutes(7), None),
        "customer=bolt": ("rate", "firing", 90.0, None, "stale"),
    }
