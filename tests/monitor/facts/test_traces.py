"""Every search of traces finds its own, newest first, and reads no others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlmodel import Session

from collectors.observation import Subject, Trace
from monitor.database.paging import Page
from monitor.facts import Store
from monitor.facts.traces import Traced, find_traces
from tests.monitor.conftest import T, batch, minutes

SEARCHES = [
    {"recipient": "jo7@example.net"}, {"message_id": "<7@example.com>"}, {"customer": "customer-1"},
    {"campaign": "spring-7"}, {"ip": "192.0.2.7"}, {"customer": "customer-1", "campaign": "spring-7"},
    {"customer": "customer-1", "ip": "192.0.2.7"}, {"customer": "nobody"},
]  # fmt: skip


def traced(number: int) -> Trace:
    about = Subject(f"customer-{number % 3}", campaign=f"spring-{number % 10}", ip=f"192.0.2.{number % 10}")
    return Trace("bounce", minutes(number - 60), about, recipient=f"jo{number % 10}@example.net", message_id=f"<{number}@example.com>")


@pytest.fixture
def filled(store: Store) -> Store:
    store.intake([batch("traces", traces=tuple(map(traced, range(30))))], T)
    return store


def search(store: Store, **wanted: Any) -> list[str]:
    with store.reading_session() as session:
        return [str(row.message_id) for row in find_traces(store, session, Traced(**wanted), Page(9)).rows]


def test_all_that_is_named_must_match_and_the_newest_comes_first(filled: Store):
    assert search(filled, campaign="spring-7") == ["<27@example.com>", "<17@example.com>", "<7@example.com>"]
    assert search(filled, ip="192.0.2.7", customer="customer-1") == ["<7@example.com>"]
    assert search(filled, campaign="spring-7", since=minutes(17 - 60)) == ["<27@example.com>", "<17@example.com>"]
    assert search(filled, recipient="JO7@example.net", campaign="spring-8") == []


def steps(connection: Connection, statement: str, parameters: Any) -> Iterator[str]:
    """How the engine goes about a query, a step each, as it writes them."""
    if connection.dialect.name == "sqlite":
        for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
            yield row[3]
        return
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # so few rows are read quicker than an index
    plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
    waiting = [(plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]]
    while waiting:
        node = waiting.pop()
        waiting += node.get("Plans", [])
        condition = "" if "Index Cond" in node else " without a condition"
        yield f"{node['Node Type']} {node.get('Index Name', '')}" + condition * ("Index" in node["Node Type"])


@pytest.mark.parametrize("wanted", SEARCHES, ids=" ".join)
def test_no_search_reads_more_than_its_index_names(filled: Store, wanted: dict[str, str]):
    queries = []

    def note(_connection, _cursor, statement, parameters, _context, _many) -> None:
        queries.append((statement, parameters))

    with filled.engine.connect() as connection, Session(connection) as session:
        event.listen(connection, "before_cursor_execute", note)
        find_traces(filled, session, Traced(**wanted), Page(100))
        event.remove(connection, "before_cursor_execute", note)
        plan = list(steps(connection, *queries[-1]))
    if filled.engine.dialect.name == "sqlite":
        assert any(step.startswith("SEARCH trace USING INDEX") for step in plan), plan
        assert not [step for step in plan if step.startswith("SCAN")]
        sorts = [step for step in plan if "TEMP B-TREE" in step]
        assert not sorts or "message_id" in wanted  # of one message there are few
    else:
        assert any("Index" in step for step in plan), plan
        assert not [step for step in plan if "Seq Scan" in step or "without a condition" in step], plan
