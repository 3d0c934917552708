"""How the store answers once it is full; part of `make bench ONLY=store`.

Readings and traces of 28 days (`store_facts`), written through `Store.intake` in batches of 20,000, rolled up; then windows over all
groups and over one customer, the roll-up of one more day, searches of traces, and a prune with nothing due and one of a month.
Figures are medians of 5 (searches: p95 of 200), each with its seconds of processor.

`python -m tests.bench.store_scale fill URL READINGS TRACES` and `… ask URL READINGS TRACES` do the two halves in a store that stays, so that
two versions of the statements can be asked of the same rows: run it with the other version's folder as the working one.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from collectors.observation import Batch
from monitor.database.paging import Page
from monitor.database.partitions import ensure_parts
from monitor.facts import Retention, Store
from monitor.facts.traces import Traced, find_traces
from monitor.intake.consequences import open_store
from tests.bench.clock import Clock, Spent
from tests.bench.store_facts import DAYS, END, START, readings, trace, traces

WINDOWS = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7), "28d": timedelta(days=28)}
BY = ("customer", "stream", "provider")
PAIR = ("delivered", "complaint")
UNTIL = END + timedelta(microseconds=1)
SEARCHES, ROUNDS = 200, 5
KEEP = Retention(readings=timedelta(days=40), hourly=timedelta(days=40), daily=timedelta(days=400), traces=timedelta(days=40))

Figures = dict[str, float]


def measure(store: Store, count: int, trace_count: int, clock: Clock) -> Figures:
    if not count:
        return {}
    figures = fill(store, count, trace_count, clock)
    figures |= ask(store, trace_count, clock)
    figures |= upkeep(store, count, clock)
    return figures


def fill(store: Store, count: int, trace_count: int, clock: Clock) -> Figures:
    figures: Figures = {}
    empty = _size(store)
    _say(figures, "readings", _taken(store, readings(count, START, END - START, random.Random(1)), clock), count)
    rolled = clock.spent(lambda: [None for _ in iter(store.roll_up, 0)])
    figures |= {"first_roll_up_cpu_us": rolled.cpu / count * 1e6}
    _settle(store)
    figures["readings_bytes_each"] = (_size(store) - empty) / count
    before = _size(store)
    if trace_count:
        _say(figures, "traces", _taken(store, traces(trace_count), clock), trace_count)
        _settle(store)
        figures["traces_bytes_each"] = (_size(store) - before) / trace_count
    return _shown(figures)


def ask(store: Store, trace_count: int, clock: Clock) -> Figures:
    figures: Figures = {}
    for name, span in WINDOWS.items():
        for whose, where in (("", {}), ("_customer", {"customer": "customer-7"})):
            spent = [
                clock.spent(lambda span=span, where=where: store.window_counts(PAIR, BY, UNTIL - span, UNTIL, where=where))
                for _ in range(ROUNDS)
            ]
            _named(figures, f"window_{name}{whose}_ms", spent, statistics.median)
    if trace_count:
        dice = random.Random(2)
        known = [trace(dice.randrange(trace_count), trace_count) for _ in range(SEARCHES)]
        keys: dict[str, Callable[[int], Any]] = {
            "recipient": lambda n: {"recipient": known[n].recipient}, "message": lambda n: {"message_id": known[n].message_id},
            "customer": lambda n: {"customer": known[n].subject.customer}, "nobody": lambda n: {"customer": f"nobody-{n}"},
            "campaign": lambda n: {"campaign": known[n].subject.campaign}, "ip": lambda n: {"ip": known[n].subject.ip},
        }  # fmt: skip
        for name, wanted in keys.items():
            spent = [clock.spent(lambda n=n, wanted=wanted: _search(store, **wanted(n))) for n in range(SEARCHES)]
            _named(figures, f"trace_by_{name}_p95_ms", spent, lambda times: sorted(times)[int(SEARCHES * 0.95)])
    return _shown(figures)


def upkeep(store: Store, count: int, clock: Clock) -> Figures:
    figures: Figures = {}
    size = max(count // DAYS, 200_000)
    _taken(store, readings(size, END, timedelta(days=1), random.Random(3)), clock)
    _named(figures, "roll_up_of_a_day_ms", [clock.spent(store.roll_up)], max)
    _named(figures, "prune_nothing_due_ms", [clock.spent(lambda: store.prune(END, KEEP))], max)
    _named(figures, "prune_a_month_ms", [clock.spent(lambda: store.prune(END + timedelta(days=46), KEEP))], max)
    return _shown(figures)


def make_parts(url: str) -> None:
    """The months of readings and traces that a race writes into."""
    with closing(open_store(url)) as store, store.engine.begin() as connection:
        ensure_parts(connection, {"reading": [START], "trace": [START]})


def _search(store: Store, **wanted: str) -> None:
    with store.reading_session() as session:
        find_traces(store, session, Traced(**wanted), Page(100))


def _taken(store: Store, batches: Iterator[Batch], clock: Clock) -> Spent:
    """What their intake took, without the making of them; learnt two days late, so that no instant is moved."""
    spent = [
        clock.spent(lambda batch=batch: store.intake([batch], batch.at + timedelta(days=2)))
        for batch in batches
    ]
    return Spent(sum(each.wall for each in spent), sum(each.cpu for each in spent))


def _say(figures: Figures, name: str, spent: Spent, count: int) -> None:
    figures |= {f"{name}_per_second": count / spent.wall, f"{name}_cpu_us": spent.cpu / count * 1e6}


def _named(figures: Figures, name: str, spent: list[Spent], of: Callable[[list[float]], float]) -> None:
    figures[name] = 1000 * of([each.wall for each in spent])
    figures[name.replace("_ms", "_cpu_ms")] = 1000 * of([each.cpu for each in spent])


def _settle(store: Store) -> None:
    """As a server is after a while: statistics known, nothing left to clean up."""
    if store.engine.dialect.name == "postgresql":
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def _size(store: Store) -> int:
    return int(str(store.info()["bytes"]))


def _shown(figures: Figures) -> Figures:
    print({name: float(f"{value:.4g}") for name, value in figures.items()}, file=sys.stderr, flush=True)
    return figures


def main(what: str, url: str, count: str, trace_count: str, server: str = "") -> None:
    clock = Clock(int(server) if server else None)
    with closing(open_store(url)) as store:
        store.migrate()
        figures = fill(store, int(count), int(trace_count), clock) if what == "fill" else ask(store, int(trace_count), clock)
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
