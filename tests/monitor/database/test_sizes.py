"""Sizes and what retention frees are said without reading the tables; small tables are counted exactly."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from collectors.observation import Evidence, Parked, Subject, Trace
from monitor.database import btree
from monitor.facts import Store
from tests.monitor.conftest import T, batch, counted


def small(store: Store) -> None:
    traces = tuple(Trace("bounce", T, Subject(customer=name)) for name in ("acme", "bolt", "acme"))
    body = Evidence("mail", T, bytes(range(256)) * 200)
    store.intake([batch("1", *(counted(T + timedelta(minutes=n)) for n in range(30)), traces=traces, evidence=(body,),
                        parked=(Parked("box/1", "malformed", "", b"x"),))], T + timedelta(hours=1))
    store.roll_up()


def test_what_retention_frees_is_named_by_kind_and_then_pruned(store: Store):
    small(store)
    if store.engine.dialect.name == "postgresql":
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))
    assert {each.kind for each in store.freed(T) if each.rows} == set()
    later = T + timedelta(days=800)
    freed = {each.kind: each.rows for each in store.freed(later) if each.rows}
    gone = store.prune(later)
    assert freed == {"reading": 30, "reading_hourly": 1, "trace": 3, "evidence": 1, "parked_unsettled": 1}
    assert {name for name, count in gone.items() if count} == set(freed)


def test_a_small_database_is_counted_exactly(sqlite_store: Store):
    small(sqlite_store)
    sizes = {each.table: each for each in sqlite_store.sizes()}
    with sqlite_store.reading_session() as session:
        counts = {name: session.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() for name in sizes}
        pages = session.execute(text("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")).scalar_one()
        free = session.execute(text("SELECT freelist_count * page_size FROM pragma_freelist_count(), pragma_page_size()")).scalar_one()
    assert {name: size.rows for name, size in sizes.items()} == counts
    assert not any(size.estimated for size in sizes.values())
    # all but the pages of the schema itself
    assert 0 < pages - free - sum(size.bytes for size in sizes.values()) < 200_000


@pytest.mark.parametrize("rowid", ["", " WITHOUT ROWID"])
def test_a_large_table_is_estimated_from_few_pages(sqlite_store: Store, rowid: str):
    with sqlite_store.session() as session:
        session.execute(text(f"CREATE TABLE large (a INTEGER, b INTEGER, c TEXT, PRIMARY KEY (a, b)){rowid}"))
        session.execute(text(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)"
            " INSERT INTO large SELECT i / 100, i, 'some text of a row' FROM n"
        ))
    with sqlite_store.reading() as connection:
        size = btree.sizes(connection)["large"]
        real = connection.execute(text(
            "SELECT sum(pgsize) FROM dbstat WHERE name IN ('large', 'sqlite_autoindex_large_1') AND aggregate = TRUE"
        )).scalar_one()
    assert size.estimated
    assert size.rows == pytest.approx(200_000, rel=0.3)
    assert size.bytes == pytest.approx(real, rel=0.3)


def test_without_the_table_of_pages_rows_are_counted(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch):
    small(sqlite_store)
    monkeypatch.setattr(btree, "_WALK", text("SELECT path, pagetype, ncell FROM no_dbstat WHERE :name = :most"))
    sizes = {each.table: each for each in sqlite_store.sizes()}
    assert (sizes["reading"].rows, sizes["reading"].bytes) == (30, None)
