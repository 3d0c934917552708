"""How fast the store takes facts in, beside the bare driver writing the same rows.

Kinds of batches take turns, each in batches of 20,000, 2,000 and 1: `known` (counts of known series in the four quarters of an
hour), `hourly` (one instant, each series once, an hour further each time), `new` (every series is new) and `traced` (a trace
and a count for each). `Store.intake` does all its work. The reference is handed what stays of the batch, read back from the
store and ready: its key, readings, new series and traces, in the order of their keys, and writes them into the same schema
with the same durability in one transaction: prepared statements (sqlite3 executemany) or binary COPY (psycopg write_row). What
the store writes for itself besides (hours due) it is not handed. Figures are medians of the same rounds.

`unchanged`: 60,000 answers of a DNSBL sweep (1,000 addresses, 60 lists) in batches as the collector makes them, none of them news;
the best of three such sweeps, after the one that wrote them first.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, NamedTuple

from sqlalchemy import text

from collectors.observation import Batch, Observation, Subject
from monitor.facts import Store
from tests.bench.clock import Clock, Spent
from tests.bench.store_facts import SERIES, trace

SIZES = (20_000, 2_000, 1)
ROUNDS = 7  # the first warms up: it makes the series and is not counted
START = datetime(2026, 1, 2, tzinfo=UTC)
ADDRESSES, LISTS, SWEEP_BATCH = 1000, 60, 2000

Rows = dict[str, list[Any]]  # by table
KNOWN = SERIES[:20_000]


def _known(size: int, number: int, at: datetime) -> Batch:
    instants = [at + timedelta(minutes=15 * quarter) for quarter in range(4)]
    series = [SERIES[(number + each) % 5_000] for each in range((size + 3) // 4)]
    counts = [Observation(*each, instant, 1.0) for instant in instants for each in series]
    return Batch("known", f"{size}/{number}", instants[-1], tuple(counts[:size]))


def _hourly(size: int, number: int, at: datetime) -> Batch:
    series = random.Random(number).sample(KNOWN, size)
    return Batch("hourly", f"{size}/{number}", at, tuple(Observation(*each, at, 1.0) for each in series))


def _new(size: int, number: int, at: datetime) -> Batch:
    about = [Subject(customer=f"customer-{each % 100}", campaign=f"{size}-{number}-{each}") for each in range(size)]
    return Batch("new", f"{size}/{number}", at, tuple(Observation("delivered", each, at, 1.0) for each in about))


def _traced(size: int, number: int, at: datetime) -> Batch:
    first = (number * len(SIZES) + SIZES.index(size)) * SIZES[0]
    traces = [replace(trace(first + each, 2_000_000), at=at) for each in range(size)]
    counts = tuple(Observation(*KNOWN[each], at, 1.0) for each in range(size))
    return Batch("events/traced", f"{size}/{number}", at, counts, tuple(traces))


KINDS: dict[str, Callable[[int, int, datetime], Batch]] = {"known": _known, "hourly": _hourly, "new": _new, "traced": _traced}


class Raced(NamedTuple):
    """What each took per batch, round by round."""

    ours: list[Spent]
    theirs: list[Spent]


def race(store: Store, insert: Callable[[Rows], None], clock: Clock) -> dict[tuple[str, int], Raced]:
    raced = {(kind, size): Raced([], []) for kind in KINDS for size in SIZES}
    for number in range(ROUNDS):
        for (kind, size), (of_ours, of_theirs) in raced.items():
            batch = KINDS[kind](size, number, START + timedelta(hours=number))
            before = _newest(store)
            ours = clock.spent(lambda batch=batch: store.intake([batch], batch.at))
            rows = _written(store, before)
            theirs = clock.spent(lambda rows=rows: insert(rows))
            if number:
                of_ours.append(ours)
                of_theirs.append(theirs)
    return raced


def _newest(store: Store) -> dict[str, int]:
    query = "SELECT coalesce((SELECT max(id) FROM {}), 0)"
    with store.engine.connect() as connection:
        return {name: connection.execute(text(query.format(name))).scalar_one() for name in ("batch", "series", "trace")}


def _written(store: Store, before: dict[str, int]) -> Rows:
    """The rows of the batch as the driver gives them, in the order of their keys."""
    tables = {
        "batch": f"id > {before['batch']}", "series": f"id > {before['series']}",
        "reading": f"batch_id > {before['batch']}", "trace": f"id > {before['trace']}",
    }  # fmt: skip
    order = {"reading": "series_id, at, batch_id"}
    with store.engine.connect() as connection:
        cursor = connection.connection.cursor()
        rows = {}
        for name, new in tables.items():
            cursor.execute(f"SELECT * FROM {name} WHERE {new} ORDER BY {order.get(name, 'id')}")
            rows[name] = cursor.fetchall()
        return rows


def figures(raced: dict[tuple[str, int], Raced]) -> dict[str, float]:
    """Rows a second and the share of the driver by kind and size; of 20,000 also the seconds of processor a million rows."""
    named = {}
    for (kind, size), (ours, theirs) in raced.items():
        wall = median(each.wall for each in ours)
        named[f"{kind}_{size}_per_second"] = size / wall
        named[f"{kind}_{size}_share_of_driver"] = median(each.wall for each in theirs) / wall
        if size == SIZES[0]:
            cpu = median(each.cpu for each in ours)
            named[f"{kind}_{size}_cpu_us"] = cpu / size * 1e6
            named[f"{kind}_{size}_share_of_driver_cpu"] = median(each.cpu for each in theirs) / cpu
    return named


def sweep(number: int) -> Iterator[Batch]:
    at = START + timedelta(days=1 + number)
    details = {"kind": "block", "ttl_seconds": 300, "why": "answered"}
    answers: Sequence[Observation] = [
        Observation("listing", Subject(ip=f"192.0.2.{ip}", dnsbl=f"list-{number_of_list}"), at, 0.0, detail=details)
        for ip in range(ADDRESSES)
        for number_of_list in range(LISTS)
    ]
    for start in range(0, len(answers), SWEEP_BATCH):
        yield Batch("dnsbl", f"{number}/{start}", at, tuple(answers[start : start + SWEEP_BATCH]))


def unchanged(store: Store, clock: Clock) -> float:
    """Answers per second that say the same again."""
    seconds = []
    for number in range(4):
        batches = list(sweep(number))
        seconds.append(clock.spent(lambda batches=batches: [store.intake([batch], batch.at) for batch in batches]).wall)
    return ADDRESSES * LISTS / min(seconds[1:])
