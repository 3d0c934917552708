"""How many readings a second the store takes, beside the bare driver writing the same rows.

5,000 series (100 customers, 10 providers, 5 counts), batches of four quarter-hours each: 20,000 readings.
`Store.intake` does all its work: series, sums, `latest`, due roll-ups, batch key. The reference only inserts
the ready rows, sorted, into a table of the same layout with the same durability: one prepared statement
(sqlite3 executemany) or one binary COPY (psycopg write_row) per transaction. Both take turns, batch by
batch, in batches of 20,000, 2,000 and 1 row in turn; figures are medians of the same rounds, autovacuum is on. The first
batch of each size warms up and is not counted.

`…_new_series_per_second` and `…_traces_per_second`: batches of 2,000 whose series are all new, or that carry traces.

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
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from collectors.observation import Batch, Observation, Subject, Trace
from monitor.database.tables import to_micros
from monitor.facts import Store
from monitor.intake.consequences import open_store
from tests.servers.postgres import Cluster

BATCHES = 45
SIZES = (20_000, 2_000, 1)  # rows of a batch, in turn
NEW_BATCHES = 5
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


def race(store: Store, insert: Callable[[list[Any]], None], shape: Callable[[Row], Any]) -> dict[str, tuple[float, float]]:
    """Rows per second of the store, and of the reference, by size of batch: medians of the same rounds."""
    seconds: dict[int, list[tuple[float, float]]] = {size: [] for size in SIZES}
    for number, whole in enumerate(batches()):
        size = SIZES[number % len(SIZES)]
        begin = number * 7919 % max(len(whole.observations) - size, 1)  # another part of the series each time
        batch = replace(whole, observations=whole.observations[begin : begin + size])
        rows = [shape(row) for row in plain_rows(batch)]
        start = time.perf_counter()
        store.intake([batch], batch.at)
        middle = time.perf_counter()
        insert(rows)
        if number >= len(SIZES):  # the first rounds make the series
            seconds[size].append((middle - start, time.perf_counter() - middle))
    return {
        str(size): (size / median(ours for ours, _ in rounds), size / median(theirs for _, theirs in rounds))
        for size, rounds in seconds.items()
    }


def unknown_series(store: Store) -> float:
    """Rows per second of batches whose series are all new: they are made as well."""
    seconds = []
    for number in range(NEW_BATCHES):
        at = START + timedelta(days=60, hours=number)
        facts = tuple(
            Observation("delivered", Subject(customer="new", campaign=f"{number}-{each}"), at, 1.0) for each in range(2_000)
        )
        begin = time.perf_counter()
        store.intake([Batch("new", str(number), at, facts)], at)
        seconds.append(time.perf_counter() - begin)
    return 2_000 / median(seconds)


def with_traces(store: Store) -> float:
    """Traces per second, in batches of 2,000 with a count for each."""
    seconds = []
    for number in range(NEW_BATCHES):
        at = START + timedelta(days=61, hours=number)
        about = [Subject(customer=f"customer-{each % 100}", provider="provider-1", ip=f"192.0.2.{each % 200}") for each in range(2_000)]
        traces = tuple(
            Trace("bounce", at, subject, recipient=f"jo{number}.{each}@example.net", message_id=f"<{number}.{each}@example.com>",
                  status="4.2.2", text="452 4.2.2 mailbox full") for each, subject in enumerate(about)
        )
        facts = tuple(Observation("soft_bounce", subject, at, 1.0) for subject in about)
        begin = time.perf_counter()
        store.intake([Batch("traced", str(number), at, facts, traces)], at)
        seconds.append(time.perf_counter() - begin)
    return 2_000 / median(seconds)


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


def measured(store: Store, raced: dict[str, tuple[float, float]]) -> dict[str, Any]:
    ours, theirs = raced["20000"]
    return {
        "rows_per_second": ours, "ratio": ours / theirs, "rows_per_second_2000": raced["2000"][0],
        "share_of_driver_2000": raced["2000"][0] / raced["2000"][1], "single_per_second": raced["1"][0],
        "share_of_driver_single": raced["1"][0] / raced["1"][1], "new_series_per_second": unknown_series(store),
        "traces_per_second": with_traces(store), "unchanged_states_per_second": unchanged(store),
    }  # fmt: skip


def sqlite(folder: Path) -> dict[str, Any]:
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

            return measured(store, race(store, insert, shape))


def postgresql(cluster: Cluster) -> dict[str, Any]:
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

        return measured(store, race(store, insert, lambda row: row))


def run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        lite = sqlite(Path(folder))
    cluster = Cluster(fsync="on", synchronous_commit="on", full_page_writes="on", autovacuum="on", shared_buffers="512MB")
    try:
        large = postgresql(cluster.start())
    finally:
        cluster.stop()
    return {
        "bench": "store",
        "figures": {f"{engine}_{name}": round(value, 2) for engine, figures in (("sqlite", lite), ("postgresql", large))
                    for name, value in figures.items() if not name.startswith("ratio")},
        "ratio": {"sqlite_driver": round(lite["ratio"], 2), "postgresql_copy": round(large["ratio"], 2)},
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(run()))
