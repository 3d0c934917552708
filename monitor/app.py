"""Wires the constructors of one process: store, collectors, judge, chats, schedule, API. Nothing else."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic

from sqlmodel import func, select

import collectors
from collectors.contract import Collector, Watcher
from collectors.observation import Batch
from monitor.abuse.rows import open_cases
from monitor.api import Services, build_app
from monitor.api.serve import serve
from monitor.config.load import Config
from monitor.console import Console, build_pages
from monitor.database.tables import BatchRow
from monitor.facts import Taken
from monitor.facts.retention import Retention
from monitor.feedback_loops.rows import lapse
from monitor.intake.consequences import configured_store
from monitor.intake.context import RunContext
from monitor.intake.mail import HandedMail
from monitor.intake.run import Runner, Tally
from monitor.inventory.difference import planned
from monitor.inventory.file import load_inventory
from monitor.inventory.rows import apply_difference, read_inventory
from monitor.jobs.schedule import LEASE, Schedule, Work
from monitor.judging.configured_rules import configured_rules
from monitor.judging.run import Judge
from monitor.judging.suspend import Limits
from monitor.notify.chat import Chat
from monitor.notify.message import Receiver
from monitor.notify.worker import Worker
from monitor.restrictions.follow import GateIndex

log = logging.getLogger(__name__)

ROLL_UP_EVERY = timedelta(minutes=5)
PRUNE_EVERY = timedelta(days=1)
DESK_EVERY = timedelta(minutes=1)
WATCH_AGAIN_SECONDS = 600.0  # a watcher starts anew so often, to see mailboxes the inventory has gained
LOOK_SECONDS = 1.0  # how often what other processes did is looked at
STALE_RUNS = 3  # a source that missed so many turns is not believed to be complete
STALE_AT_LEAST = timedelta(hours=1)
JUDGING_SHARE = 0.2  # judging takes at most this share of a core under load


def utc_now() -> datetime:
    return datetime.now(UTC)


class Application:
    """One process of Vigie. `on_taken` is told of every new batch after its commit (the demo prints it)."""

    def __init__(
        self, config: Config, *, clock: Callable[[], datetime] = utc_now, on_taken: Callable[[Taken], None] | None = None
    ) -> None:
        self.config = config
        self.clock = clock
        self._on_taken = on_taken
        self.rules = configured_rules(config)
        receivers = [
            Receiver(each.name, each.url.get_secret_value(), each.severities, frozenset(each.rules), frozenset(each.customers))
            for each in config.receivers
        ]
        chats = {receiver.name: Chat(receiver.name, receiver.url) for receiver in receivers}
        self.store = configured_store(config.engine)
        self.owner = f"{socket.gethostname()}:{os.getpid()}"
        known = collectors.discover()
        self.collectors: dict[str, Collector] = {
            name: known[name](settings) for name, settings in config.collectors.items()
        }
        self.every = {name: settings.every for name, settings in config.collectors.items()}
        self.judge = Judge(
            self.store, self.rules, receivers, Limits(config.engine.max_held_share), config.api.address,
            self._stale_complaints, self.every,
        )
        self.worker = Worker(self.store, chats, self.owner, clock)
        self.gate = GateIndex()
        self.schedule = Schedule(self.store, clock, self.owner)
        self.mail = HandedMail(self.store, config.collectors, config.secrets, clock)
        self._runner = Runner(self.store, self.take, clock)
        self._news = threading.Event()
        self._mail = threading.Event()

    # ── facts in ──

    def take(self, batches: Sequence[Batch]) -> list[Taken]:
        """Store batches and have them judged; returns once they are committed."""
        taken = self.store.intake(batches, self.clock(), evidence_for=self.config.engine.retention.evidence)
        if any(each.new for each in taken):
            self._news.set()
            if self._on_taken is not None:
                for each in taken:
                    if each.new:
                        self._on_taken(each)
        return taken

    def run_collector(self, name: str, *, keep: bool = False) -> Tally:
        """One run of one collector, now."""
        context = RunContext(self.store, name, self.config.secrets, self.schedule.stop_event, self.clock())
        return self._runner.run(self.collectors[name], context, keep=keep)

    # ── life ──

    def prepare(self) -> None:
        """Bring the schema up to date and apply the configured inventory. Raises ConfigError or InventoryError."""
        self.store.migrate()
        if self.config.inventory:
            wanted = load_inventory(*self.config.inventory, secrets=self.config.secrets)
            with self.store.session() as session:
                apply_difference(session, planned(read_inventory(session), wanted))

    def start(self) -> None:
        """Start the threads that collect, judge and notify."""
        self.declare()
        self.schedule.start()

    def turn(self) -> None:
        """All that is due by the clock, once, in this thread and always in the same order, instead of `start`.

        For whoever moves the clock himself: when it returns, what the facts so far lead to has happened.
        """
        self.schedule.run_due()
        self.judge_once()
        for receiver in sorted(self.worker.waiting()):
            self.worker.send_due(receiver)
        self.gate.refresh(self.store, self.clock())

    def serve(self, stop: threading.Event, *, on_ready: Callable[[], None] | None = None) -> None:
        """Answer HTTP in this thread until `stop`. Raises AddressError when the address cannot be had."""
        api = self.config.api
        services = Services(self.store, self.gate, self.clock, self.take, api, self.every, self.mail.read)
        pages = build_pages(Console(self.store, self.clock, self.rules, self.every))
        serve(build_app(services, pages), api.host, api.port, stop, on_ready=on_ready)

    def close(self) -> None:
        self._news.set()
        self._mail.set()
        self.schedule.close()
        self.store.close()

    def declare(self) -> None:
        """Name every job and loop to the schedule."""
        for name, collector in self.collectors.items():
            settings = self.config.collectors[name]
            self.schedule.add(Work(f"collect:{name}", settings.every, partial(self._collect, name)))
            if isinstance(collector, Watcher):
                self.schedule.loop(f"watch:{name}", partial(self._watch, name, collector))
        self.schedule.add(Work("roll-up", ROLL_UP_EVERY, self._roll_up))
        self.schedule.add(Work("prune", PRUNE_EVERY, self._prune))
        self.schedule.add(Work("desk", DESK_EVERY, self._desk))
        self.schedule.loop("judge", self._judge)
        self.schedule.loop("tell", self._tell)

    def _collect(self, name: str) -> None:
        tally = self.run_collector(name)
        log.info("collector %s: %s%s", name, tally.outcome, f", {tally.text}" if tally.text else "")

    def _roll_up(self) -> None:
        self.store.roll_up()

    def _prune(self) -> None:
        self.store.prune(self.clock(), Retention(**dict(self.config.engine.retention)))

    def _desk(self) -> None:
        """Make cases of letters to the abuse desk; end enrolments whose time is over."""
        open_cases(self.store, self.clock())
        with self.store.session() as session:
            lapse(session, self.clock())

    # ── loops ──

    def _watch(self, name: str, watcher: Watcher, stop: threading.Event) -> None:
        """Run the collector when its source says there is news."""
        again = threading.Event()
        timer = threading.Timer(WATCH_AGAIN_SECONDS, again.set)
        timer.daemon = True
        timer.start()
        threading.Thread(target=_set_after, args=(stop, again), daemon=True).start()
        try:
            for _ in watcher.watch(RunContext(self.store, name, self.config.secrets, stop, self.clock()), again):
                self.schedule.run_now(f"collect:{name}")
        finally:
            timer.cancel()
            again.set()

    def _judge(self, stop: threading.Event) -> None:
        """Judge when facts arrive, here or in another process, and when the next timer runs out."""
        due_at, seen = 0.0, -1
        while not stop.is_set():
            self._news.wait(min(max(due_at - monotonic(), 0), LOOK_SECONDS))
            news = self._news.is_set()
            self._news.clear()
            newest = self._newest_batch()
            if not news and newest == seen and monotonic() < due_at:
                continue
            seen, began = newest, monotonic()
            wait = self.judge_once()
            due_at = monotonic() + wait.total_seconds()
            self._mail.set()
            stop.wait((monotonic() - began) * (1 / JUDGING_SHARE - 1))

    def judge_once(self) -> timedelta:
        """One pass, if no other process is at it."""
        now = self.clock()
        fence = self.store.claim("judge", self.owner, now, LEASE, due_only=False)
        if fence is None:
            return timedelta(seconds=LOOK_SECONDS)
        try:
            return self.judge.judge_all(now)
        finally:
            self.store.done("judge", self.owner, fence, self.clock(), now)

    def _newest_batch(self) -> int:
        with self.store.reading_session() as session:
            return session.exec(select(func.max(BatchRow.id))).one() or 0

    def _tell(self, stop: threading.Event) -> None:
        """Send what waits, every receiver in a thread of its own, so that a dead chat delays no other."""
        under_way: dict[str, Future[int]] = {}
        with ThreadPoolExecutor(max_workers=max(len(self.config.receivers), 1)) as threads:
            while not stop.is_set():
                self._mail.wait(LOOK_SECONDS)
                self._mail.clear()
                for receiver in self.worker.waiting():
                    if receiver not in under_way or under_way[receiver].done():
                        under_way[receiver] = threads.submit(self._send, receiver)

    def _send(self, receiver: str) -> int:
        try:
            return self.worker.send_due(receiver)
        except Exception:
            log.exception("telling %s", receiver)
            return 0

    def _stale_complaints(self, now: datetime) -> str | None:
        """Why complaints cannot be believed to be complete (None: they can, or they come by other ways)."""
        settings = self.config.collectors.get("feedback_loop")
        if settings is None:
            return None
        runs = self.store.last_runs().get("feedback_loop")
        good = runs.good if runs else None
        if good is None or good.ended_at is None:
            return "the feedback-loop mailboxes were not read yet"
        if now - good.ended_at > max(settings.every * STALE_RUNS, STALE_AT_LEAST):
            return f"the feedback-loop mailboxes were not read since {good.ended_at:%Y-%m-%d %H:%M UTC}"
        return None if good.outcome == "ok" else "some feedback-loop mailboxes could not be read"


def _set_after(first: threading.Event, then: threading.Event) -> None:
    first.wait()
    then.set()
