"""Wires the constructors of one process: store, collectors, judge, chats, schedule, API. Nothing else."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import collectors
from collectors.contract import Collector, Context, Watcher
from monitor.api import Services, build_app
from monitor.api.serve import check_address, serve
from monitor.api.services import Hook
from monitor.config.load import Config
from monitor.config.mta import KumoMta
from monitor.config.severity import Severity
from monitor.console import Console, build_actions, build_pages
from monitor.facts import Taken
from monitor.intake.consequences import configured_store
from monitor.intake.context import RunContext
from monitor.intake.ingest import Ingest
from monitor.intake.mail import HandedMail
from monitor.intake.mailbox_tokens import MailboxTokens
from monitor.intake.run import Runner, Tally
from monitor.inventory.difference import planned
from monitor.inventory.file import configured_inventory
from monitor.inventory.known import read_names
from monitor.inventory.named_in_config import unknown_names
from monitor.inventory.rows import apply_difference, read_inventory
from monitor.jobs.collect import Collecting, job_of
from monitor.jobs.database_watch import DatabaseWatch
from monitor.jobs.judge_loop import JudgeLoop
from monitor.jobs.outbox_loop import OutboxLoop
from monitor.jobs.schedule import Schedule, Work
from monitor.jobs.upkeep import Upkeep
from monitor.jobs.warm_ups import WarmUps
from monitor.jobs.watchers import Watching
from monitor.judging.configured_rules import (
    configured_names,
    configured_rules,
    labels_of_rules,
    lists_asked,
    lists_known,
)
from monitor.judging.held import Limits
from monitor.judging.run import Judge
from monitor.mta.running import Given, MtaServers
from monitor.notify.follow_up import EVERY as FOLLOW_UP_EVERY
from monitor.notify.follow_up import FollowUp
from monitor.notify.heartbeat import LOOK_EVERY, Heartbeats
from monitor.notify.links import Links
from monitor.notify.receivers import configured_heartbeats, configured_receivers, configured_routing
from monitor.notify.worker import Worker
from monitor.restrictions.follow import GateIndex

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    return datetime.now(UTC)


class Application:
    """One process of Vigie. `on_new` is called with every new batch after its commit (the demo prints it)."""

    def __init__(
        self, config: Config, *, clock: Callable[[], datetime] = utc_now, on_new: Callable[[Taken], None] | None = None
    ) -> None:
        self.config = config
        self.clock = clock
        self.rules = configured_rules(config)
        receivers, chats = configured_receivers(config)
        self._routing = configured_routing(config, receivers, labels_of_rules(self.rules))
        self.store = configured_store(config.engine)
        self._tokens = MailboxTokens(self.store)
        owner = f"{socket.gethostname()}:{os.getpid()}"
        intervals = {name: settings.every for name, settings in config.collectors.items()}
        beats, watchers = configured_heartbeats(config, labels_of_rules(self.rules))
        self._heartbeats = Heartbeats(self.store, beats, clock)
        self._links = Links(self.store.recipients.derived, config.api.address)
        self._follow_up = FollowUp(self.store, self._routing, clock, {rule.id: rule for rule in self.rules}, config.api.address)
        self._outbox = OutboxLoop(Worker(
            self.store, {**chats, **watchers}, owner, clock, config.notify.digest_above, [each.name for each in receivers if not each.customers],
            self._links, [each.name for each in receivers if each.links],
        ))
        judge = Judge(
            self.store, self.rules, self._routing, Limits(config.engine.max_held_share, config.engine.max_held_share_per_provider, config.engine.shadow), config.api.address, intervals,
            lists=lists_known(config), watched_lists=lists_asked(config),
        )
        self._judging = JudgeLoop(self.store, judge.judge_all, clock, owner, news=judge.judge_news, afterwards=self._outbox.wake)
        judge.check = self._judging.check
        heard = [lambda _: self._judging.wake(), *([on_new] if on_new else [])]
        self.take = Ingest(self.store, clock, config.engine.retention.evidence, heard)
        self.mail = HandedMail(self.store, config.collectors, config.secrets, clock)
        self._gate = GateIndex()
        critical = {each.name: chats[each.name] for each in receivers if Severity.CRITICAL in each.severities and not each.customers}
        self._database = DatabaseWatch(self.store, critical, clock)
        self._watching: threading.Thread | None = None
        self._schedule = Schedule(self.store, clock, owner)
        self._collecting = Collecting(
            _collectors(config), intervals, Runner(self.store, self.take, clock), self._context
        )
        self._warm_ups = WarmUps(self.store, clock, config.warmup)
        self.mta = MtaServers(config.mta, Given(self.store, self._gate, self.take, clock, config.api.address))
        self._upkeep = Upkeep(self.store, clock, config.engine.retention, lists_asked(config))

    @property
    def collectors(self) -> tuple[str, ...]:
        """The names of those configured and enabled."""
        return tuple(self._collecting.collectors)

    @property
    def intervals(self) -> dict[str, timedelta]:
        return dict(self._collecting.intervals)

    def run_collector(self, name: str, *, keep: bool = False) -> Tally:
        """One run of one collector, now."""
        return self._collecting.run(name, keep=keep)

    def judge_once(self) -> None:
        """One pass over the rules, if no other process is at it."""
        self._judging.judge_once()

    def prepare(self) -> None:
        """Bring the schema up to date and apply the configured inventory. Raises ConfigError or InventoryError."""
        self.store.migrate()
        if self.config.inventory:
            wanted = configured_inventory(self.config)
            with self.store.session() as session:
                apply_difference(session, planned(read_inventory(session), wanted))
        with self.store.reading_session() as session:
            for fault in unknown_names(self.config, read_names(session), {rule.id for rule in self.rules}):
                log.warning("%s", fault)
        self._upkeep.end_listings()  # of what the configuration no longer asks

    def declare(self) -> None:
        """Name every job and loop to the schedule."""
        people = Work("follow-up", FOLLOW_UP_EVERY, self._follow_up.run), Work("heartbeat", LOOK_EVERY, self._heartbeats.run)
        for work in (*self._collecting.jobs(), *self._upkeep.jobs(), *self._warm_ups.jobs(), *people):
            self._schedule.add(work)
        for name, collector in self._collecting.collectors.items():
            if isinstance(collector, Watcher):
                run_now = partial(self._schedule.run_now, job_of(name))
                watching = Watching(collector, partial(self._context, name), run_now)
                self._schedule.loop(f"watch:{name}", watching.run)
        self._schedule.loop("judge", self._judging.run)
        self._schedule.loop("notify", self._outbox.run)

    def start(self) -> None:
        """Start the threads that collect, judge and notify."""
        self.declare()
        self._watch_database()
        self._schedule.start()

    def turn(self) -> None:
        """All that is due by the clock, once, in this thread and always in the same order, instead of `start`.

        For whoever moves the clock himself: when it returns, what the facts so far lead to has happened.
        """
        self._schedule.run_due()
        self.judge_once()
        self._outbox.send_once()
        self._gate.refresh(self.store, self.clock())

    def check_address(self) -> None:
        """Raises AddressError where `serve` would."""
        check_address(self.config.api.host, self.config.api.port)
        self.mta.check_addresses()

    def serve(self, stop: threading.Event, *, on_ready: Callable[[], None] | None = None) -> None:
        """Answer HTTP in this thread until `stop`. Raises AddressError when the address cannot be had."""
        self._watch_database()
        api, lists = self.config.api, lists_known(self.config)
        services = Services(self.store, self._gate, self.clock, self.take, api, self.intervals, self.mail.read,
                            lambda: self._database.fault, configured=configured_names(self.config),
                            routing=self._routing, rules=self.rules, lists=lists,
                            records=self.config.mta.kumomta or KumoMta(), webhooks=hooks_of(self.config))
        console = Console(self.store, self.clock, self.rules, self.intervals, lambda: self._database.fault, lists)
        app = build_app(services, build_pages(console), build_actions(console, self._links))
        self.mta.start(stop)
        try:
            serve(app, api.host, api.port, stop, connections=api.connections, on_ready=on_ready)
        finally:
            stop.set()
            self.mta.join()

    def _watch_database(self) -> None:
        """Once per process, whichever part of it runs."""
        if self._watching is None:
            self._watching = threading.Thread(target=self._database.run, args=(self._schedule.stop_event,), daemon=True)
            self._watching.start()

    def close(self) -> None:
        self._schedule.stop_event.set()
        self._judging.wake()
        self._outbox.wake()
        self._schedule.close()
        self.store.close()

    def _context(self, collector: str) -> Context:
        stop = self._schedule.stop_event
        return RunContext(self.store, collector, self.config.secrets, stop, self.clock(), tokens=self._tokens)


def _collectors(config: Config) -> dict[str, Collector]:
    known = collectors.discover()
    return {name: known[name](settings) for name, settings in config.collectors.items()}


def hooks_of(config: Config) -> dict[str, Hook]:
    """The relays' webhooks, their secrets looked up."""
    return {
        name: Hook(
            hook.relay, config.secrets[hook.secret].get_secret_value() if hook.secret else "", hook.customer, frozenset(hook.topics)
        )
        for name, hook in config.webhooks.items()
    }
