"""How many grants a second, on both engines, and what sixty days of a plan come to in a world drawn from a seed.

Grants: four threads reserve and give back 10 messages each time, of one IP and one domain at one provider, so all take turns
at the same rows: the worst case. The reference commits one small row at a time in the same store, as fast as it can.
The plan: an IP at a provider, weekdays only, with deferrals and a bad week that draws blocks; each day is judged by the job itself.

`python -m tests.bench.warmup` prints one JSON line.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from collectors.observation import Batch, Observation, Subject
from monitor.config.warmup import WarmUp as Settings
from monitor.facts import Store
from monitor.intake.consequences import open_store
from monitor.jobs.warm_ups import WarmUps
from monitor.warmup.allowances import Wanted, give_back, grant
from monitor.warmup.days import begins_at, ends_at
from monitor.warmup.plans import Plan, shipped
from monitor.warmup.rows import Start, going_on, start
from monitor.warmup.standing import Standing
from tests.servers.postgres import Cluster

SECONDS, ROUNDS, THREADS = 3.0, 3, 4
IP, DOMAIN, PROVIDER, ZONE = "192.0.2.7", "news.example", "gmail", "America/Los_Angeles"
HUGE = Plan(name="huge", per_day=(1_000_000_000,), source="this benchmark")
FIRST, DAYS = date(2026, 1, 5), 60
BAD_WEEK = range(21, 26)


def utc_now() -> datetime:
    return datetime.now(UTC)


def run() -> dict[str, Any]:
    figures: dict[str, Any] = {}
    ratio: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, url, stop in _engines(folder):
            with closing(open_store(url)) as store:
                store.migrate()
                grants, p99, commits = _grants(store)
            stop()
            figures |= {f"{name}_grants_per_second": round(grants), f"{name}_grant_p99_ms": round(p99, 1)}
            ratio[f"{name}_commits"] = round(grants / commits, 2)
        with closing(open_store(f"sqlite:///{Path(folder, 'plan.sqlite')}")) as store:
            store.migrate()
            figures |= sixty_days(store, random.Random(7))
    return {"bench": "warmup", "figures": figures, "ratio": ratio}


def _engines(folder: str) -> list[tuple[str, str, Callable[[], None]]]:
    cluster = Cluster()
    cluster.start()
    return [
        ("sqlite", f"sqlite:///{Path(folder, 'bench.sqlite')}", lambda: None),
        ("postgresql", cluster.fresh_database(), cluster.stop),
    ]


def _grants(store: Store) -> tuple[float, float, float]:
    """Grants a second (each with its return), the 99th percentile of one in ms, and bare commits a second."""
    for ip, domain in ((IP, None), (None, DOMAIN)):
        with store.session() as session:
            start(session, Start(ip, domain, PROVIDER, HUGE), actor="bench", reason="bench", now=utc_now())
    rounds: list[tuple[float, float, float]] = []
    for _ in range(ROUNDS):
        took: list[float] = []
        grants = _rate(lambda took=took: _grant_and_return(store, took))
        commits = _rate(lambda: store.prove_writable(utc_now()))
        rounds.append((grants, statistics.quantiles(took, n=100)[98] * 1000, commits))
    first, second, third = (statistics.median(each) for each in zip(*rounds, strict=True))
    return first, second, third


def _grant_and_return(store: Store, took: list[float]) -> None:
    began = time.perf_counter()
    wanted = Wanted("acme", "bench", 10, timedelta(seconds=300), IP, DOMAIN, PROVIDER)
    with store.session() as session:
        made = grant(session, wanted, utc_now())
    took.append(time.perf_counter() - began)
    assert made.grant is not None
    with store.session() as session:
        give_back(session, made.grant, 7, utc_now())


def _rate(do: Callable[[], None]) -> float:
    """How often a second, of all threads together."""
    ends_at_, counts = time.perf_counter() + SECONDS, [0] * THREADS

    def work(number: int) -> None:
        while time.perf_counter() < ends_at_:
            do()
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def sixty_days(store: Store, dice: random.Random) -> dict[str, Any]:
    """How the conservative plan goes: steps forward, held, back, and where it stands in the end."""
    now = begins_at(FIRST, ZONE) + timedelta(hours=1)
    clock = [now]
    job = WarmUps(store, lambda: clock[0], Settings())
    with store.session() as session:
        plan = shipped()["conservative"]
        begun = start(session, Start(IP, None, PROVIDER, plan, ZONE), actor="bench", reason="bench", now=now).id
    moves = {"advanced": 0, "held": 0, "stepped_back": 0, "idle": 0}
    highest, step, sent_days = 1, 1, 0
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        sends = day.weekday() < 5
        cap = _cap(store, begun, clock[0])
        if sends and cap is not None:
            _send(store, day, cap, dice, bad=number in BAD_WEEK)
            sent_days += 1
        clock[0] = ends_at(day, ZONE) + timedelta(seconds=30)
        job.run()
        with store.reading_session() as session:
            [after] = going_on(session, clock[0], [begun])
        place = after.step + (after.standing is Standing.WARM)
        key = "idle" if not sends else "advanced" if place > step else "stepped_back" if place < step else "held"
        moves[key] += 1
        step, highest = place, max(highest, place)
    return {f"plan_{name}_days": value for name, value in moves.items()} | {
        "plan_sending_days": sent_days, "plan_highest_step": highest, "plan_last_step": step, "plan_steps": len(plan.per_day),
    }


def _cap(store: Store, begun: str, now: datetime) -> int | None:
    with store.reading_session() as session:
        [allowance] = going_on(session, now, [begun])
    return allowance.cap


def _send(store: Store, day: date, cap: int, dice: random.Random, *, bad: bool) -> None:
    """A day's facts: all of the cap is tried; some days too little mail is there; in the bad week one in six is blocked."""
    tried = cap if dice.random() < 0.85 else int(cap * dice.uniform(0.3, 0.8))
    blocked = sum(dice.random() < (1 / 6 if bad else 0.001) for _ in range(min(tried, 5_000))) * max(tried // 5_000, 1)
    deferred = int(tried * dice.uniform(0, 0.1))
    at = begins_at(day, ZONE) + timedelta(hours=12)
    subject = Subject(customer="acme", ip=IP, provider=PROVIDER)
    facts = {"delivered": tried - blocked, "block": blocked, "deferral": deferred, "hard_bounce": tried // 200}
    observations = tuple(Observation(name, subject, at, float(value)) for name, value in facts.items())
    store.intake([Batch("bench", day.isoformat(), at, observations=observations)], at)


if __name__ == "__main__":
    json.dump(run(), sys.stdout)
    print()
