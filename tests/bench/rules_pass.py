"""What one pass of the judge costs at the size of a large provider, on both engines.

100 customers, 250 streams, 20 mailbox providers, 1,000 sending IPs, 200 rules about six rates and four windows, and 28 days of
counts: `make bench ONLY=rules_pass` (1 M readings, all rules; `READINGS=20000000` for the full size, `RULES=20`
for fewer; `FILLED=FILE`: a SQLite database that was filled so before, which is copied). Figures:

`full_pass_seconds`, `full_pass_cpu_seconds`: a pass over all rules, nothing new, median of 5. `first_pass_seconds`: the one that
comes first, and writes a row for each of 730,000 groups; `restart_seconds`: the first of a process that finds them. `incremental_ms`: a pass over news after three complaints of one stream came in, median of 9. `queries_per_pass`: statements
of the full pass. `holds_seconds`, `statements_per_incident`: with one rule, 600 groups that go bad at once, 600 incidents with a hold each and one
notification each. `complaint_to_hold_p50_ms`, `…_p99_ms`: from the moment a batch with complaints is handed in to the answer `hold` of the gate, all rules
judged, 100 times (the judge's loop and the gate's index followed as in the service, in threads of one process). `counters_mb`: the tables of the counters. `peak_mb`: the most memory this process had, loading included; `load`: of the machine, the last minute.
"""

from __future__ import annotations

import itertools
import os
import random
import resource
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import event

from collectors.observation import Batch, Observation, Subject
from monitor.database.tables import Customer, Pool, SendingIp, Stream
from monitor.facts import Store
from monitor.gate import Request, decide
from monitor.intake.consequences import open_store
from monitor.jobs.judge_loop import JudgeLoop
from monitor.judging.held import Limits
from monitor.judging.run import Judge
from monitor.notify.message import Receiver
from monitor.notify.routing import Routing
from monitor.restrictions.follow import EVERY_SECONDS, GateIndex
from monitor.rules.conditions.table import RULE
from monitor.rules.model import Rule
from tests.bench.clock import Clock, Spent
from tests.bench.store import cluster

NOW = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)
DAYS, BATCH, READINGS = 28, 20_000, 1_000_000
HELD, COMPLAINED = 600, 100
# measure → its share of the readings, and what one of them counts: 0.03 % complaints, and so on
MEASURES = {
    "delivered": (0.6, 500.0), "complaint": (0.1, 1.0), "hard_bounce": (0.1, 2.0), "deferral": (0.1, 20.0), "block": (0.05, 1.0),
    "unsubscribe": (0.05, 1.0),
}  # fmt: skip
SIGNALS = {"complaints": 0.003, "blocks": 0.02, "deferrals": 0.2, "invalid_addresses": 0.05, "unsubscribes": 0.01}
BY = (("customer", "stream", "provider"), ("customer", "provider"), ("ip",), ("ip", "provider"), ("customer", "stream"))
WINDOWS = ("1h", "3h", "24h", "7d")
STREAMS = [(f"customer-{number % 100}", f"stream-{number // 100}") for number in range(250)]


def subjects() -> list[Subject]:
    """Each stream sends to every provider from two of its four IPs."""
    return [
        Subject(customer=customer, stream=stream, provider=f"provider-{provider}", ip=f"10.0.{ip // 250}.{ip % 250}")
        for number, (customer, stream) in enumerate(STREAMS) for provider in range(20)
        for ip in (number * 4 + provider % 4, number * 4 + (provider + 1) % 4)
    ]  # fmt: skip


def rules() -> list[Rule]:
    """200 of them: every rate by everything over every window, and two lines of each."""
    made = []
    for number, (line, signal, by, window) in enumerate(itertools.product((1, 2), SIGNALS, BY, WINDOWS)):
        above = SIGNALS[signal] * line
        made.append(RULE.validate_python({
            "id": f"rule-{number}", "condition": "ratio", "signal": signal, "by": by, "window": window, "above": above,
            "clear": {"below": above / 3}, "severity": "critical",
        }))  # fmt: skip
    return made


def holding() -> Rule:
    return RULE.validate_python({
        "id": "holding", "condition": "ratio", "signal": "complaints", "by": BY[0], "window": "24h", "above": 0.02,
        "clear": {"below": 0.001}, "severity": "critical", "effect": {"action": "hold", "scope": BY[0], "at_most": "24h"},
    })  # fmt: skip


def fill(store: Store, count: int) -> None:
    with store.session() as session:
        session.add_all([*(Customer(id=f"customer-{each}", name=f"Customer {each}") for each in range(100)), Pool(name="shared")])
        session.flush()
        session.add_all(Stream(customer=customer, name=name) for customer, name in STREAMS)
        session.add_all(SendingIp(address=f"10.0.{ip // 250}.{ip % 250}", pool="shared") for ip in range(1000))
    for batch in _readings(count):
        store.intake([batch], batch.at + timedelta(days=2) if batch.at < NOW - timedelta(days=2) else NOW)
    while store.roll_up():
        pass


def _readings(count: int) -> Iterator[Batch]:
    dice, about = random.Random(1), subjects()
    weights = [share for share, _ in MEASURES.values()]
    for begin in range(0, count, BATCH):
        size = min(BATCH, count - begin)
        at = NOW - timedelta(days=DAYS) * (count - begin) / count
        step = timedelta(days=DAYS) * BATCH / count / 4
        measures = dice.choices(list(MEASURES), weights, k=size)
        yield Batch("filled", str(begin), at, tuple(
            Observation(measure, dice.choice(about), min(at + step * (number % 4), NOW), MEASURES[measure][1])
            for number, measure in enumerate(measures)
        ))  # fmt: skip


@contextmanager
def counted_statements(store: Store) -> Iterator[list[str]]:
    """The statements that are run on either engine meanwhile."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    engines = (store.engine, store._engines.read)  # noqa: SLF001 - what it costs, not what it says
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield statements
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


def measure(store: Store, count: int, clock: Clock) -> dict[str, float]:
    filled = clock.spent(lambda: None if "FILLED" in os.environ and store.engine.dialect.name == "sqlite" else fill(store, count))
    made = random.Random(2).sample(rules(), int(os.environ.get("RULES") or 200))
    judge = _judge(store, made)
    now, figures = NOW, {"fill_seconds": filled.wall}
    figures["first_pass_seconds"] = clock.spent(lambda: judge.judge_all(now)).wall
    passes: list[Spent] = []
    while len(passes) < 5 and sum(each.wall for each in passes) < 120:
        now += timedelta(minutes=1)
        with counted_statements(store) as statements:
            passes.append(clock.spent(lambda at=now: judge.judge_all(at)))
        print(passes[-1], len(statements), file=sys.stderr, flush=True)
    figures |= {"full_pass_seconds": median(each.wall for each in passes),
                "full_pass_cpu_seconds": median(each.cpu for each in passes), "queries_per_pass": len(statements)}  # fmt: skip
    figures["incremental_ms"] = 1000 * _after_news(store, judge, now, clock)
    now += timedelta(minutes=1)
    judge = _judge(store, [*made, holding()])
    figures["restart_seconds"] = clock.spent(lambda: judge.judge_all(now)).wall
    figures |= complaints_to_holds(store, judge, now + timedelta(minutes=1))
    now += timedelta(minutes=20)
    judge = _judge(store, [holding()])
    judge.judge_all(now)
    now += timedelta(minutes=1)
    _complain(store, subjects()[: 2 * HELD : 2], 5000, now)
    with counted_statements(store) as statements:
        held = clock.spent(lambda: judge.judge_all(now))
    figures |= {"holds_seconds": held.wall, "statements_per_incident": len(statements) / HELD}
    return figures | {"counters_mb": judge.counters.size / 2**20, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "load": os.getloadavg()[0]}


def _judge(store: Store, rules: list[Rule]) -> Judge:
    return Judge(store, rules, Routing([Receiver("on-call", "json://127.0.0.1/")]), Limits(max_held_share=1.0))


def _after_news(store: Store, judge: Judge, now: datetime, clock: Clock) -> float:
    spent = []
    for number in range(9):
        at = now + timedelta(seconds=number + 1)
        _complain(store, subjects()[5000:5001], 3, at)
        spent.append(clock.spent(lambda at=at: judge.judge_news(at) or judge.judge_all(at)).wall)
        if sum(spent) > 60:
            break
    return median(spent)


def complaints_to_holds(store: Store, judge: Judge, begins: datetime) -> dict[str, float]:
    """How long a complaint takes to the gate; the time goes on from `begins`."""
    started, stop, gate, spent = time.monotonic(), threading.Event(), GateIndex(), []

    def clock() -> datetime:
        return begins + timedelta(seconds=time.monotonic() - started)

    loop = JudgeLoop(store, judge.judge_all, clock, "bench", news=judge.judge_news)
    judge.check = loop.check
    loop.judge_once()

    def follow() -> None:
        while not stop.wait(EVERY_SECONDS):
            gate.refresh(store, clock())

    threads = [threading.Thread(target=loop.run, args=(stop,)), threading.Thread(target=follow)]
    for thread in threads:
        thread.start()
    for about in subjects()[2 * HELD : 2 * HELD + 2 * COMPLAINED : 2]:
        request, at = Request(about.customer or "", stream=about.stream, provider=about.provider), time.monotonic()
        _complain(store, [about], 5000, clock())
        loop.wake()
        while decide(request, gate.index, clock()).decision != "hold" and time.monotonic() - at < 60:
            time.sleep(0.001)
        spent.append(1000 * (time.monotonic() - at))
    stop.set()
    loop.wake()
    for thread in threads:
        thread.join()
    return {"complaint_to_hold_p50_ms": median(spent), "complaint_to_hold_p99_ms": sorted(spent)[int(len(spent) * 0.99) - 1]}


def _complain(store: Store, about: list[Subject], complaints: int, now: datetime) -> None:
    counts = tuple(Observation("complaint", each, now, float(complaints)) for each in about)
    sent = tuple(Observation("delivered", each, now, complaints * 1.2) for each in about)
    store.intake([Batch("news", now.isoformat(), now, counts + sent)], now)


def run() -> dict[str, Any]:
    count = int(os.environ.get("READINGS") or READINGS)
    by_engine = {}
    with tempfile.TemporaryDirectory() as folder, closing(open_store(f"sqlite:///{Path(folder) / 'pass.sqlite'}")) as store:
        if "FILLED" in os.environ:
            shutil.copyfile(os.environ["FILLED"], Path(folder) / "pass.sqlite")
        store.migrate()
        by_engine["sqlite"] = measure(store, count, Clock())
        print(by_engine, file=sys.stderr, flush=True)
    if os.environ.get("ENGINES") != "sqlite":
        with cluster() as server, closing(open_store(server.fresh_database())) as store:
            store.migrate()
            by_engine["postgresql"] = measure(store, count, Clock(server.pid))
    return {
        "bench": "rules_pass",
        "figures": {f"{engine}_{name}": float(f"{value:.4g}") for engine, each in by_engine.items() for name, value in each.items()},
        "ratio": {},
    }  # fmt: skip
