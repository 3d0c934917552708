"""What stood in columns with other names is read under those they have now, on both engines."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, column, insert, table

from collectors.observation import Observation, Subject
from monitor.abuse.rows import open_cases
from monitor.database.engine import Engines
from monitor.database.schema import migrate
from monitor.database.tables import Cursor, Incident, Instant, Latest, Listing, Transition
from monitor.facts import Store
from monitor.intake.consequences import open_store
from tests.monitor.conftest import Rows, T, batch, minutes

_INSTANTS = ("asked_at", "at", "since", "first_seen_at", "last_seen_at", "started_at", "judged_at", "told_at", "counted_to", "updated_at")
_TYPES = dict.fromkeys(_INSTANTS, Instant()) | dict.fromkeys(
    ("subject", "evidence", "codes", "detail", "told_members", "value"), JSON())
OLD: dict[str, dict[str, Any]] = {
    "series": {"id": 1, "measure": "listing", "key": 'listing {"ip":"192.0.2.1","dnsbl":"zen"}', "ip": "192.0.2.1", "dnsbl": "zen"},
    "latest": {"series_id": 1, "asked_at": minutes(7), "at": minutes(7), "since": T, "detail": {"codes": ["127.0.0.2"]}},
    "listing": {
        "target": "192.0.2.1", "dnsbl": "zen", "phase": "listed", "baseline": False, "codes": ["127.0.0.2"], "hits": 2,
        "clean_answers": 0, "first_seen_at": T, "last_seen_at": minutes(7), "asked_at": minutes(7), "detail": {},
    },
    "listing ": {
        "target": "192.0.2.2", "dnsbl": "zen", "phase": "cleared", "baseline": False, "codes": ["127.0.0.2"], "hits": 2,
        "clean_answers": 0, "first_seen_at": T, "last_seen_at": T, "asked_at": T, "detail": {"ended": "the list is gone"},
    },
    "incident": {
        "id": "inc-1", "rule": "listed", "subject_key": "operator=Zen", "open_key": "operator=Zen", "subject": {"operator": "Zen"},
        "state": "firing", "severity": "warning", "summary": "", "evidence": {}, "elapsed_seconds": 60.0, "counted_to": minutes(8),
        "started_at": T, "judged_at": minutes(8), "told_at": minutes(1), "told_members": ["192.0.2.1@zen"],
    },
    "cursor": {"collector": "abuse-desk", "name": "trace", "value": {"batch": 5, "row": 9}, "updated_at": T},
    "transition": {
        "at": T, "kind": "abuse_case", "of": "abu-1", "old": "none", "new": "open", "why": "spam", "actor": "abuse-desk", "evidence": {},
    },
}  # fmt: skip


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.real("postgres"))])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store of the revision before, with a row of each kind, brought to the newest."""
    url = (
        f"sqlite:///{tmp_path / 'vigie.sqlite'}" if request.param == "sqlite"
        else request.getfixturevalue("postgres_cluster").fresh_database(migrated=False)
    )  # fmt: skip
    engines = Engines(url)
    migrate(engines, to="0006")
    with engines.alone(any_schema=True) as connection:
        for name, row in OLD.items():
            connection.execute(insert(table(name.strip(), *(column(each, _TYPES.get(each)) for each in row))), [row])
    engines.dispose()
    with closing(open_store(url)) as opened:
        opened.migrate()
        yield opened


def test_what_was_checked_notified_and_counted_is_known_still(store: Store, rows: Rows):
    ((latest,), (listing, ended), (incident,)) = rows(Latest), rows(Listing), rows(Incident)
    assert (latest.checked_at, listing.checked_at) == (minutes(7), minutes(7))
    assert (listing.ended_reason, ended.ended_reason) == (None, "the list is gone")
    assert (incident.notified_at, incident.notified_members) == (minutes(1), ["192.0.2.1@zen"])


def test_answers_go_on_in_the_same_rows(store: Store, rows: Rows):
    again = Observation("listing", Subject(ip="192.0.2.1", dnsbl="zen"), minutes(20), 1.0, detail={"codes": ["127.0.0.2"]})
    store.intake([batch("1", again)], minutes(20))
    ((latest,), (listing, _)) = rows(Latest), rows(Listing)
    assert (latest.checked_at, listing.checked_at, listing.first_seen_at) == (minutes(20), minutes(20), T)


def test_abuse_cases_go_on_where_they_stood_and_keep_their_history(store: Store, rows: Rows):
    open_cases(store, minutes(30))
    assert [(row.collector, row.value["batch"]) for row in rows(Cursor)] == [("abuse-cases", 5)]
    assert [row.actor for row in rows(Transition)] == ["abuse-cases"]
