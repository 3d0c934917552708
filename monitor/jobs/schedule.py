"""When everything runs: APScheduler jobs declared at start, a lease row each, and threads that wait for news.

Jobs live in memory only; when each ran last is kept in the database, so that a redeploy neither repeats nor
forgets one, and a lease makes a run exclusive across processes. Judging and notifying are woken by what happens
instead of waiting for their minute.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from monitor.facts import Store

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=20)  # how long a crash of its owner delays a job
RENEW_SECONDS = 5.0
THREADS = 16
MOST_EARLY = timedelta(seconds=1)  # a turn that comes a little early is one; else it would wait for the next


@dataclass(frozen=True, slots=True)
class Work:
    """Something to be done every so often; `do` returns when it is done."""

    name: str
    every: timedelta
    do: Callable[[], None]


class Schedule:
    """The jobs of one process. `owner` names this process in its leases."""

    def __init__(self, store: Store, clock: Callable[[], datetime], owner: str) -> None:
        self._store = store
        self._clock = clock
        self._owner = owner
        self._stop = threading.Event()
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._busy: Mapping[str, threading.Lock] = {}
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(THREADS)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone="UTC",
        )
        self._scheduler.add_listener(_report, EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
        self._works: dict[str, Work] = {}

    @property
    def stop_event(self) -> threading.Event:
        return self._stop

    def add(self, work: Work) -> None:
        """Declare a job. Its first turn is when its last one, in whatever process, says."""
        now = self._clock()
        due = self._store.next_run(work.name) or now
        self._works[work.name] = work
        self._busy = {**self._busy, work.name: threading.Lock()}
        self._scheduler.add_job(
            self._turn, IntervalTrigger(seconds=max(work.every.total_seconds(), 0.1)), args=[work], id=work.name,
            name=work.name, next_run_time=max(due, now),
        )

    def run_due(self) -> None:
        """Give every declared job its turn, in this thread and in the order declared: for a clock that a story or a test moves."""
        for work in tuple(self._works.values()):
            self._turn(work)

    def run_now(self, name: str) -> None:
        """Have a job run at once, whatever its turn (news have come). Waits for a turn under way."""
        work = self._works[name]
        with self._busy[name]:
            self._exclusively(work, due_only=False)

    def loop(self, name: str, body: Callable[[threading.Event], None]) -> None:
        """A thread of its own for what waits for news; an error in it is logged, and it starts again."""

        def run() -> None:
            while not self._stop.is_set():
                try:
                    body(self._stop)
                except Exception:
                    log.exception("%s", name)
                    self._stop.wait(1)

        self._threads.append(threading.Thread(target=run, name=name, daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        self._scheduler.start()

    def close(self, patience_seconds: float = 10) -> None:
        """Ask everything to end, wait for what is under way, then stop. Once; again it does nothing."""
        if self._closed:
            return  # the locks it took are not given back
        self._closed = True
        self._stop.set()
        if self._scheduler.running:
            self._scheduler.pause()
        for lock in self._busy.values():
            lock.acquire(timeout=patience_seconds)
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(patience_seconds)

    def _turn(self, work: Work) -> None:
        if self._stop.is_set() or not self._busy[work.name].acquire(blocking=False):
            return
        try:
            self._exclusively(work, due_only=True)
        finally:
            self._busy[work.name].release()

    def _exclusively(self, work: Work, *, due_only: bool) -> None:
        """Do the work if this process gets the lease; the next turn counts from the start of this one."""
        now = self._clock()
        fence = self._store.claim(work.name, self._owner, now, LEASE, due_only=due_only)
        if fence is None:
            return
        try:
            with renewed(self._store, (work.name, self._owner, fence), self._clock):
                work.do()
        finally:
            due = now + work.every - min(work.every / 4, MOST_EARLY)
            self._store.done(work.name, self._owner, fence, self._clock(), due)


_LAST_RENEWAL_SECONDS = 5.0


@contextmanager
def renewed(store: Store, held: tuple[str, str, int], clock: Callable[[], datetime]) -> Iterator[None]:
    """Keep a lease (job, owner, fence) from running out meanwhile."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(RENEW_SECONDS):
            try:
                if not store.renew(*held, clock(), LEASE):
                    return  # somebody else has it
            except Exception:
                log.exception("renewing the lease of %s", held[0])

    thread = threading.Thread(target=renew, name=f"renew:{held[0]}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(_LAST_RENEWAL_SECONDS)  # one under way has a connection: whoever closes the store now would leave it open


def _report(event: JobEvent) -> None:
    what = {EVENT_JOB_ERROR: "failed", EVENT_JOB_MISSED: "missed its turn", EVENT_JOB_MAX_INSTANCES: "is still running"}
    error = getattr(event, "exception", None)
    log.warning("job %s %s%s", event.job_id, what.get(event.code, "had an event"), f": {error!r}" if error else "")
