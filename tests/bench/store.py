"""How many readings a second the store takes, beside the bare driver writing the same rows.

5,000 series (100 customers, 10 providers, 5 counts), batches of four quarter-hours each: 20,000 readings.
`Store.intake` does all its work: series, sums, `latest`, due roll-ups, batch key. The reference only inserts
the ready rows, sorted, into a table of the same layout with the same durability: one prepared statement
(sqlite3 executemany) or one binary COPY (psycopg write_row) per transaction. Both take turns, batch by
batch. A fifth of the batches warms up and is not counted.

`…_unchanged_states_per_second`: 60,000 answers of a DNSBL sweep (1,000 addresses, 60 lists) in batches as the
collector makes them, none of them news; the best of three such sweeps, after the one that wrote them first.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from collectors.observation import Batch, Observation, Subject
from monitor.database.tables import to_micros
from monitor.facts import Store
from monitor.intake.consequences import open_store
from tests.servers.postgres import Cluster

BATCHES = 40
QUARTERS = 4
START = datetime(2026, 1, 2, tzinfo=UTC)
MEASURES = ("delivered", "deferral", "hard_bounce", "soft_bounce", "block")
SUBJECTS = [Subject(customer=f"customer-{c}", provider=f"provider-{p}") for c in range(100) for p in range(10)]

ADDRESSES, LISTS, SWEEP_BATCH = 1000, 60, 2000

Row = tuple[int, datetime, int, datetime, float, None]


def batches() -> Iterator[Batch]:
    for number in range(BATCHES):
        begin = START + timedelta(minutes=15 * QUARTERS * number)
        instants = [begin + timedelta(minutes=15 * quarter) for quarter in range(QUARTERS)]
        yield Batch(
            "mta",
            str(number),
            instants[-1],
            observations=tuple(
                Observation(measure, subject, at, float(number + index % 7))
                for at in instants
                for index, subject in enumerate(SUBJECTS)
                for measure in MEASURES
            ),
        )


def plain_rows(batch: Batch) -> list[Row]:
    """The rows of a batch, ready and sorted, with series ids of its own."""
    number = {(measure, s): i for i, (measure, s) in enumerate((m, s) for m in MEASURES for s in SUBJECTS)}
    key = int(batch.key) + 1
    rows: list[Row] = [
        (number[each.measure, each.subject], each.at, key, batch.at, float(each.value or 0), None)
        for each in batch.observations
    ]
    return sorted(rows, key=lambda row: row[:2])


def race(store: Store, insert: Callable[[list[Any]], None], shape: Callable[[Row], Any]) -> tuple[float, float]:
    """Rows per second of the store, and of the reference."""
    ours = theirs = 0.0
    counted = 0
    for number, batch in enumerate(batches()):
        rows = [shape(row) for row in plain_rows(batch)]
        begin = time.perf_counter()
        store.intake([batch], batch.at)
        middle = time.perf_counter()
        insert(rows)
        end = time.perf_counter()
        if number >= BATCHES // 5:
            ours += middle - begin
            theirs += end - middle
            counted += len(rows)
    return counted / ours, counted / theirs


def sweep(number: int) -> Iterator[Batch]:
    at = START + timedelta(days=1 + number)
    details = {"kind": "block", "ttl_seconds": 300, "why": "answered"}
    answers = [
        Observation("listing", Subject(ip=f"192.0.2.{ip}", dnsbl=f"list-{number_of_list}"), at, 0.0, detail=details)
        for ip in range(ADDRESSES)
        for number_of_list in range(LISTS)
    ]
    for start in range(0, len(answers), SWEEP_BATCH):
        yield Batch("dnsbl", f"{number}/{start}", at, tuple(answers[start : start + SWEEP_BATCH]))


def unchanged(store: Store) -> float:
    """Answers per second that say the same again."""
    seconds = []
    for number in range(4):
        batches = list(sweep(number))
        begin = time.perf_counter()
        for batch in batches:
            store.intake([batch], batch.at)
        seconds.append(time.perf_counter() - begin)
    return ADDRESSES * LISTS / min(seconds[1:])


def sqlite(folder: Path) -> tuple[float, float, float]:
    with closing(open_store(f"sqlite:///{folder / 'ours.sqlite'}")) as store:
        store.migrate()
        with store.engine.connect() as connection:
            query = "SELECT sql FROM sqlite_master WHERE name = 'reading'"
            layout = str(connection.exec_driver_sql(query).scalar_one())
        with closing(sqlite3.connect(folder / "theirs.sqlite", isolation_level=None)) as bare:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=10000", "cache_size=-65536"):
                bare.execute(f"PRAGMA {pragma}")
            bare.execute(layout)

            def insert(rows: list[Any]) -> None:
                bare.execute("BEGIN IMMEDIATE")
                bare.executemany("INSERT INTO reading VALUES (?, ?, ?, ?, ?, ?)", rows)
                bare.execute("COMMIT")

            def shape(row: Row) -> Any:
                return (row[0], to_micros(row[1]), row[2], to_micros(row[3]), *row[4:])

            return (*race(store, insert, shape), unchanged(store))


def postgresql(cluster: Cluster) -> tuple[float, float, float]:
    ours, theirs = cluster.fresh_database(), cluster.fresh_database()
    for url in (theirs, ours):
        with closing(open_store(url)) as store:
            store.migrate()
    with closing(open_store(theirs)) as other:  # makes the same months of readings
        other.intake([Batch("x", "x", START, (Observation("delivered", Subject(), START, 1.0),))], START)
    types = ("int8", "timestamptz", "int8", "timestamptz", "float8", "text")
    with closing(open_store(ours)) as store, psycopg.connect(theirs, autocommit=True) as bare:
        bare.execute("TRUNCATE reading")

        def insert(rows: list[Any]) -> None:
            with bare.transaction(), bare.cursor().copy("COPY reading FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(types)
                for row in rows:
                    copy.write_row(row)

        return (*race(store, insert, lambda row: row), unchanged(store))


def run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        lite = sqlite(Path(folder))
    cluster = Cluster(fsync="on", synchronous_commit="on", full_page_writes="on", shared_buffers="512MB")
    try:
        large = postgresql(cluster.start())
    finally:
        cluster.stop()
    return {
        "bench": "store",
        "figures": {
            "sqlite_rows_per_second": round(lite[0]),
            "postgresql_rows_per_second": round(large[0]),
            "sqlite_unchanged_states_per_second": round(lite[2]),
            "postgresql_unchanged_states_per_second": round(large[2]),
        },
        "ratio": {"sqlite_driver": round(lite[0] / lite[1], 2), "postgresql_copy": round(large[0] / large[1], 2)},
    }


if __name__ == "__main__":
    print(json.dumps(run()))
