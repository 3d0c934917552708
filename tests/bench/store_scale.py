"""How the store answers once it is full: `python -m tests.bench.store_scale --readings 2000000 --traces 2000000`.

43,200 series (120 customers, 3 streams, 12 providers, 10 counts) over 28 days, written through `Store.intake` in batches of
20,000; then windows over all groups and over one customer, the roll-up of one more day, a prune with nothing due and one
of a month, and searches of traces. One JSON line per engine; figures are medians of 5 (searches: p95 of 100).
It measures whatever is on the path: run it with an older checkout as PYTHONPATH to have a "before".
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from collectors.observation import Batch, Observation, Subject, Trace
from monitor.facts import Retention, Store
from tests.servers.postgres import Cluster

START = datetime(2026, 1, 3, tzinfo=UTC)
DAYS, BATCH = 28, 20_000
END = START + timedelta(days=DAYS)
MEASURES = ("delivered", "complaint", "hard_bounce", "soft_bounce", "deferral", "block", "unsubscribe", "report",
            "autoreply", "dmarc_pass")  # fmt: skip
SUBJECTS = [
    Subject(customer=f"customer-{customer}", stream=f"stream-{stream}", provider=f"provider-{provider}")
    for customer in range(120) for stream in range(3) for provider in range(12)
]  # fmt: skip
SERIES = [(measure, subject) for subject in SUBJECTS for measure in MEASURES]
WINDOWS = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7), "28d": timedelta(days=28)}
BY = ("customer", "stream", "provider")
SEARCHES, ROUNDS = 100, 5


def opened(url: str) -> Store:
    try:
        from monitor.intake.consequences import open_store
    except ImportError:  # an older version
        return Store(url)  # type: ignore[call-arg]  # as it was called then
    return open_store(url)


def readings(count: int, first: datetime, span: timedelta, dice: random.Random) -> Iterator[Batch]:
    for begin in range(0, count, BATCH):
        size = min(BATCH, count - begin)
        at = first + span * begin / count
        instants = [at + span * BATCH / count * quarter / 4 for quarter in range(4)]
        chosen = dice.sample(range(len(SERIES)), size)
        yield Batch(f"scale {first}", str(begin), at, tuple(
            Observation(*SERIES[each], instants[number % 4], float(number % 9)) for number, each in enumerate(chosen)
        ))


def trace(number: int, total: int, dice: random.Random) -> Trace:
    customer = dice.randrange(120)
    about = Subject(customer=f"customer-{customer}", stream=f"stream-{number % 3}", campaign=f"c{customer}-{number % 200}",
                    ip=f"192.0.{number % 4}.{number % 251}", domain="example.com", provider=f"provider-{number % 12}")
    return Trace(
        "bounce", START + timedelta(days=DAYS) * number / total, about, recipient=f"jo{number // 3}@example.net",
        message_id=f"<{number}.{customer}@mx.example.com>", category="mailbox_full", status="4.2.2", reply_code="452",
        text="452 4.2.2 The recipient's inbox is out of storage space",
    )


def traces(total: int, dice: random.Random) -> Iterator[Batch]:
    for begin in range(0, total, BATCH):
        made = tuple(trace(number, total, dice) for number in range(begin, min(total, begin + BATCH)))
        yield Batch("events/scale", str(begin), made[-1].at, traces=made)


def timed(act: Callable[[], Any], rounds: int = 1) -> float:
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def search(store: Store, **wanted: str) -> None:
    from monitor.facts.traces import Traced, find_traces

    try:
        from monitor.database.paging import Page
    except ImportError:
        find_traces(store, Traced(**wanted), 100)  # type: ignore[call-arg]  # as it was called then
        return
    with store.reading_session() as session:
        find_traces(store, session, Traced(**wanted), Page(100))


def p95(act: Callable[[int], None]) -> float | None:
    seconds = []
    for number in range(SEARCHES):
        begin = time.perf_counter()
        try:
            act(number)
        except TypeError:  # a search this version does not have
            return None
        seconds.append(time.perf_counter() - begin)
    return round(sorted(seconds)[int(SEARCHES * 0.95)] * 1000, 2)


def size(store: Store) -> int:
    return int(str(store.info()["bytes"]))


def measure(store: Store, count: int, trace_count: int) -> dict[str, Any]:
    dice = random.Random(1)
    figures: dict[str, Any] = {}
    empty = size(store)
    figures["intake_rows_per_second"] = round(count / timed(lambda: take(store, readings(count, START, END - START, dice))))
    while store.roll_up():
        pass
    settle(store)
    figures["readings_mb_per_million"] = round((size(store) - empty) / count, 1)
    say(figures)
    until = END + timedelta(microseconds=1)
    for name, span in WINDOWS.items():
        figures[f"window_{name}"] = round(timed(
            lambda span=span: store.window_counts(("delivered", "complaint"), BY, until - span, until), ROUNDS), 3)
    figures["window_24h_customer_ms"] = round(1000 * timed(
        lambda: store.window_counts(("delivered", "complaint"), BY, until - WINDOWS["24h"], until,
                                    where={"customer": "customer-7"}), ROUNDS), 1)
    figures["window_28d_customer_ms"] = round(1000 * timed(
        lambda: store.window_counts(("delivered", "complaint"), BY, until - WINDOWS["28d"], until,
                                    where={"customer": "customer-7"}), ROUNDS), 1)
    say(figures)
    take(store, readings(max(count // DAYS, 200_000), END, timedelta(days=1), dice))
    figures["roll_up_of_a_day"] = round(timed(store.roll_up), 2)
    before = size(store)
    figures["trace_rows_per_second"] = round(trace_count / timed(lambda: take(store, traces(trace_count, dice))))
    settle(store)
    figures["traces_mb_per_million"] = round((size(store) - before) / trace_count, 1)
    wanted = [dice.randrange(trace_count) for _ in range(SEARCHES)]
    known = [trace(number, trace_count, random.Random(number)) for number in wanted]
    figures["trace_by_recipient_ms"] = p95(lambda n: search(store, recipient=str(known[n].recipient)))
    figures["trace_by_message_ms"] = p95(lambda n: search(store, message_id=str(known[n].message_id)))
    figures["trace_by_customer_ms"] = p95(lambda n: search(store, customer=str(known[n].subject.customer)))
    figures["trace_by_nobody_ms"] = p95(lambda n: search(store, customer=f"nobody-{n}"))
    figures["trace_by_campaign_ms"] = p95(lambda n: search(store, campaign=str(known[n].subject.campaign)))
    figures["trace_by_ip_ms"] = p95(lambda n: search(store, ip=str(known[n].subject.ip)))
    say(figures)
    keep = Retention(readings=timedelta(days=40), hourly=timedelta(days=40), daily=timedelta(days=400), traces=timedelta(days=40))
    figures["prune_nothing_due"] = round(timed(lambda: store.prune(END, keep)), 2)
    figures["prune_a_month"] = round(timed(lambda: store.prune(END + timedelta(days=46), keep)), 2)
    return figures


def take(store: Store, batches: Iterator[Batch]) -> None:
    for batch in batches:
        store.intake([batch], batch.at + timedelta(days=2))


def settle(store: Store) -> None:
    """As a server is after a while: statistics known, nothing left to clean up."""
    if store.engine.dialect.name == "postgresql":
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def say(figures: dict[str, Any]) -> None:
    print(figures, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--readings", type=int, default=2_000_000)
    parser.add_argument("--traces", type=int, default=2_000_000)
    parser.add_argument("--engines", default="sqlite,postgresql")
    wanted = parser.parse_args()
    for engine in wanted.engines.split(","):
        cluster = None
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{Path(folder) / 'scale.sqlite'}"
            if engine == "postgresql":
                cluster = Cluster(fsync="on", synchronous_commit="on", full_page_writes="on", shared_buffers="512MB",
                                  autovacuum="on", max_wal_size="4GB").start()
                url = cluster.fresh_database()
            try:
                with closing(opened(url)) as store:
                    store.migrate()
                    print(json.dumps({"engine": engine, **measure(store, wanted.readings, wanted.traces)}), flush=True)
            finally:
                if cluster is not None:
                    cluster.stop()


if __name__ == "__main__":
    main()
