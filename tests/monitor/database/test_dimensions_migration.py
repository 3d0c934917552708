"""What was stored before mailboxes, operators, seeds and aspects had columns of their own stays true after."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, column, insert, table

from collectors.observation import Observation, Subject
from monitor.database.engine import Engines
from monitor.database.schema import migrate
from monitor.database.tables import Incident, Instant, Series, Silence
from monitor.facts import Store
from monitor.intake.consequences import open_store
from tests.monitor.conftest import Rows, T, batch, minutes

LONG = "m" * 700
_TYPES = {
    **dict.fromkeys(("subject", "detail", "matchers", "evidence", "codes", "told_members"), JSON()),
    **dict.fromkeys(("first_seen_at", "last_seen_at", "asked_at", "at", "started_at", "judged_at", "since", "until"), Instant()),
}


def _series(id_: int, measure: str, **subject: str) -> dict[str, Any]:
    empty = dict.fromkeys(("customer", "stream", "ip", "provider", "dnsbl", "collector"))
    key = f"{measure} {json.dumps(subject, separators=(',', ':'))}"
    return {"id": id_, "measure": measure, "key": key if len(key) <= 600 else "sha256:of the old text", **empty, **subject}


def _incident(id_: str, subject: dict[str, str], *, ended: bool = False) -> dict[str, Any]:
    key = "|".join(f"{name}={value}" for name, value in subject.items())
    return {
        "id": id_, "rule": "listed", "subject_key": key, "open_key": id_ if ended else key, "subject": subject,
        "state": "ok" if ended else "firing", "severity": "warning", "summary": "", "evidence": {}, "elapsed_seconds": 0.0,
        "told_members": [], "started_at": T, "judged_at": T,
    }


def _listing(id_: int, dnsbl: str, operator: str | None) -> dict[str, Any]:
    return {
        "id": id_, "target": f"192.0.2.{id_}", "dnsbl": dnsbl, "phase": "listed", "baseline": False, "codes": [], "hits": 1,
        "clean_answers": 0, "first_seen_at": T, "last_seen_at": T, "asked_at": T,
        "detail": {"operator": operator} if operator else {},
    }


def _silence(id_: str, **matchers: str) -> dict[str, Any]:
    return {"id": id_, "matchers": matchers, "actor": "ann", "reason": "known", "since": T, "until": minutes(60)}


OLD: dict[str, list[dict[str, Any]]] = {
    "series": [
        _series(1, "mailbox_read", collector="fbl"),
        _series(2, "mailbox_read", collector=LONG),
        _series(3, "canary", dnsbl="zen", collector="dnsbl"),
        _series(4, "canary", collector="dnsbl"),
        _series(5, "listing", ip="192.0.2.1", dnsbl="zen"),
        _series(6, "delivered", customer="acme", stream="news", ip="192.0.2.1", provider="gmail"),
        _series(7, "list_score", ip="192.0.2.1", dnsbl="score"),
    ],
    "latest": [
        {"series_id": 1, "asked_at": T, "at": T, "since": T, "value": 1.0, "detail": {}},
        {"series_id": 7, "asked_at": T, "at": T, "since": T, "value": 40.0, "detail": {"operator": "Scores Inc."}},
    ],
    "listing": [_listing(1, "zen", "Spamhaus"), _listing(2, "own-list", None), _listing(3, "alike", "alike")],
    "incident": [
        _incident("listed", {"dnsbl": "Spamhaus", "pool": "shared"}),
        _incident("ended", {"dnsbl": "Spamhaus", "target": "192.0.2.1"}, ended=True),
        _incident("unusable", {"collector": "dnsbl", "dnsbl": "zen"}),
        _incident("own", {"dnsbl": "own-list", "pool": "shared"}),
        _incident("alike", {"dnsbl": "alike"}),
        _incident("score", {"dnsbl": "Scores Inc."}),
        _incident("other", {"customer": "acme"}),
    ],
    "silence": [
        _silence("operator", dnsbl="Spamhaus", pool="shared"), _silence("list", dnsbl="zen"),
        _silence("both", dnsbl="alike"), _silence("mailbox", mailbox="fbl"),
    ],
}  # fmt: skip


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.real("postgres"))])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store of the revision before, with rows in it, brought to the newest."""
    url = (
        f"sqlite:///{tmp_path / 'vigie.sqlite'}" if request.param == "sqlite"
        else request.getfixturevalue("postgres_cluster").fresh_database(migrated=False)
    )  # fmt: skip
    engines = Engines(url)
    migrate(engines, to="0001")
    with engines.alone(any_schema=True) as connection:
        for name, rows in OLD.items():
            columns = [column(each, _TYPES.get(each)) for each in rows[0]]
            connection.execute(insert(table(name, *columns)), rows)
    engines.dispose()
    with closing(open_store(url)) as opened:
        opened.migrate()
        yield opened


def test_readings_of_a_mailbox_stand_under_the_mailbox_and_go_on_in_the_same_series(store: Store, rows: Rows):
    mailboxes = {row.id: (row.mailbox, row.collector) for row in rows(Series) if row.measure == "mailbox_read"}
    assert mailboxes == {1: ("fbl", None), 2: (LONG, None)}
    again = [Observation("mailbox_read", Subject(mailbox=name), minutes(1), 1.0) for name in ("fbl", LONG)]
    # ids were given by hand above: a series that is not found again would be a new row, or an error on PostgreSQL
    store.intake([batch("1", *again)], minutes(1))
    assert {row.id for row in rows(Series) if row.measure == "mailbox_read"} == {1, 2}
    assert [(series.mailbox, latest.checked_at) for series, latest in store.latest("mailbox_read", mailbox="fbl")] == [
        ("fbl", minutes(1))
    ]


def test_every_other_series_is_found_again_as_it_was(store: Store, rows: Rows):
    same = [
        Observation("canary", Subject(dnsbl="zen", collector="dnsbl"), minutes(1), 1.0),
        Observation("canary", Subject(collector="dnsbl"), minutes(1), 1.0),
        Observation("listing", Subject(ip="192.0.2.1", dnsbl="zen"), minutes(1), 0.0),
        Observation("delivered", Subject(customer="acme", stream="news", ip="192.0.2.1", provider="gmail"), minutes(1), 1.0),
    ]
    store.intake([batch("1", *same)], minutes(1))
    assert len(rows(Series)) == len(OLD["series"])


def test_incidents_about_listings_name_the_operator_and_those_about_a_list_its_id(store: Store, rows: Rows):
    incidents = {row.id: (row.subject, row.subject_key, row.open_key) for row in rows(Incident)}
    assert incidents == {
        "listed": ({"operator": "Spamhaus", "pool": "shared"},) + ("operator=Spamhaus|pool=shared",) * 2,
        "ended": ({"operator": "Spamhaus", "target": "192.0.2.1"}, "operator=Spamhaus|target=192.0.2.1", "ended"),
        "unusable": ({"collector": "dnsbl", "dnsbl": "zen"},) + ("collector=dnsbl|dnsbl=zen",) * 2,
        "own": ({"dnsbl": "own-list", "pool": "shared"},) + ("dnsbl=own-list|pool=shared",) * 2,
        "alike": ({"operator": "alike"},) + ("operator=alike",) * 2,
        "score": ({"operator": "Scores Inc."},) + ("operator=Scores Inc.",) * 2,
        "other": ({"customer": "acme"},) + ("customer=acme",) * 2,
    }


def test_a_silence_on_the_name_of_an_operator_goes_on_and_one_on_a_list_stays(store: Store, rows: Rows):
    assert {row.id: row.matchers for row in rows(Silence)} == {
        "operator": {"operator": "Spamhaus", "pool": "shared"}, "list": {"dnsbl": "zen"}, "both": {"dnsbl": "alike"},
        "mailbox": {"mailbox": "fbl"},
    }
