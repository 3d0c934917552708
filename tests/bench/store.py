"""The store on both engines: how fast it takes facts in beside the bare driver, and how it answers once it is full.

`make bench ONLY=store` prints one JSON line: the races of `store_intake`, then what `store_scale` measures of a store with
2 M readings and 500,000 traces (`make bench ONLY=store READINGS=20000000 TRACES=5000000`; READINGS=0: only the races). Each
engine's figures begin with its name. `rows_per_second` and the ratios are of known series in batches of 20,000; PostgreSQL runs
with fsync and autovacuum on. `…_cpu…` are seconds of processor, the server's and this process's: what to compare on a busy machine.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from monitor.facts import Store
from monitor.intake.consequences import open_store
from tests.bench import store_scale
from tests.bench.clock import Clock
from tests.bench.store_intake import Rows, figures, race, unchanged
from tests.servers.postgres import Cluster

READINGS, TRACES = 2_000_000, 500_000
SETTINGS = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "autovacuum": "on",
            "shared_buffers": "512MB", "max_wal_size": "4GB"}  # fmt: skip
_TYPES = "SELECT attname, atttypid::regtype::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum"


@contextmanager
def cluster() -> Iterator[Cluster]:
    started = Cluster(**SETTINGS)
    try:
        yield started.start()
    finally:
        started.stop()


def sqlite(folder: Path, readings: int, traces: int) -> dict[str, Any]:
    with closing(_migrated(f"sqlite:///{folder / 'ours.sqlite'}")) as store:
        _migrated(f"sqlite:///{folder / 'theirs.sqlite'}").close()
        with closing(sqlite3.connect(folder / "theirs.sqlite", isolation_level=None)) as bare:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=10000", "cache_size=-65536"):
                bare.execute(f"PRAGMA {pragma}")

            def insert(rows: Rows) -> None:
                bare.execute("BEGIN IMMEDIATE")
                for name, of_table in rows.items():
                    if of_table:
                        bare.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(of_table[0]))})", of_table)
                bare.execute("COMMIT")

            raced = _raced(store, insert, Clock())
    with closing(_migrated(f"sqlite:///{folder / 'full.sqlite'}")) as store:
        return raced | store_scale.measure(store, readings, traces, Clock())


def postgresql(server: Cluster, readings: int, traces: int) -> dict[str, Any]:
    ours, theirs = server.fresh_database(), server.fresh_database()
    clock = Clock(server.pid)
    with closing(open_store(ours)) as store, psycopg.connect(theirs, autocommit=True) as bare:
        types: dict[str, list[str]] = {}

        def insert(rows: Rows) -> None:
            with bare.transaction():
                for name, of_table in rows.items():
                    if of_table:
                        with bare.cursor().copy(f"COPY {name} FROM STDIN (FORMAT BINARY)") as copying:
                            copying.set_types(types[name])
                            for row in of_table:
                                copying.write_row(row)

        for name in ("batch", "series", "reading", "trace"):
            types[name] = [kind for _, kind in bare.execute(_TYPES, [name])]
        store_scale.make_parts(theirs)
        raced = _raced(store, insert, clock)
    with closing(open_store(server.fresh_database())) as store:
        return raced | store_scale.measure(store, readings, traces, clock)


def _migrated(url: str) -> Store:
    store = open_store(url)
    store.migrate()
    return store


def _raced(store: Store, insert: Callable[[Rows], None], clock: Clock) -> dict[str, Any]:
    raced = figures(race(store, insert, clock))
    raced["rows_per_second"] = raced["known_20000_per_second"]
    raced["unchanged_states_per_second"] = unchanged(store, clock)
    print(raced, file=sys.stderr, flush=True)
    return raced


def run() -> dict[str, Any]:
    readings, traces = int(os.environ.get("READINGS") or READINGS), int(os.environ.get("TRACES") or TRACES)
    by_engine = {}
    with tempfile.TemporaryDirectory() as folder:
        by_engine["sqlite"] = sqlite(Path(folder), readings, traces)
    with cluster() as server:
        by_engine["postgresql"] = postgresql(server, readings, traces)
    ratio = {"sqlite_driver": by_engine["sqlite"], "postgresql_copy": by_engine["postgresql"]}
    return {
        "bench": "store",
        "figures": {f"{engine}_{name}": float(f"{value:.4g}") for engine, each in by_engine.items() for name, value in each.items()},
        "ratio": {name: round(each["known_20000_share_of_driver"], 2) for name, each in ratio.items()},
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(run()))
