"""The collector `dnsbl`: which of our addresses and domains stand on which DNS lists.

Asks the lists through the user's own resolvers, each pair of target and list not before its last answer has
expired (TTL), not more often than the list likes, and not more than its operator allows in a day. What is not
due keeps its last answer, across restarts too. What a list says counts between two good checks of its test entries;
where one fails by a wrong answer, what it said since the last good one is taken back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from ipaddress import IPv6Network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from collectors.clients.dns import Pace, Server
from collectors.clients.dns_resolvers import WHAT_TO_SET, host_and_port, parse_server, system_servers
from collectors.contract import CollectorError, CollectorSettings, Context, Reason, Target
from collectors.dnsbl.budget import Budget
from collectors.dnsbl.canary import Canaries
from collectors.dnsbl.catalogue import Catalogue, CatalogueError, DnsList, load_catalogue
from collectors.dnsbl.decode import unknown
from collectors.dnsbl.facts import EVER, canary_observations, observations
from collectors.dnsbl.memory import Memory
from collectors.dnsbl.pacers import Pacers, operator_of
from collectors.dnsbl.question import UnsupportedTargetError, Zone, key_for, parse_target
from collectors.dnsbl.result import Result
from collectors.dnsbl.sweep import Resolvers, Sweep
from collectors.observation import Batch, Observation

log = logging.getLogger(__name__)

_BATCH = 2000
PATIENCE_SECONDS = 5.0
_BUDGET, _MEMORY = "budget", "answers"  # cursors


def _resolver(text: str) -> str:
    host_and_port(text)
    return text.strip()


Resolver = Annotated[str, AfterValidator(_resolver)]


class DnsblSettings(CollectorSettings):
    """Lists are chosen by id or pattern; keys are the names of secrets, by list id or pattern."""

    resolvers: tuple[Resolver, ...] = ()  # HOST:PORT; empty: the system's, unless that is a public one
    list_resolvers: dict[str, tuple[Resolver, ...]] = Field(default_factory=dict)
    lists: tuple[str, ...] = ()  # empty: those the catalogue has on by default
    catalogue: Path | None = None  # instead of the shipped one
    own_lists: Path | None = None  # beside it
    keys: dict[str, str] = Field(default_factory=dict)
    daily_queries: dict[str, int] = Field(default_factory=dict)  # by operator, where yours differs from the catalogue's
    min_poll_interval: timedelta | None = None  # instead of each list's own
    timeout_seconds: float = Field(2.0, gt=0, le=30)
    attempts: int = Field(2, ge=1, le=5)
    in_flight: int = Field(128, ge=1, le=512)
    canary_max_age: timedelta = Field(timedelta(minutes=30), le=timedelta(minutes=30))

    @model_validator(mode="after")
    def _lists_can_be_asked(self) -> Self:
        known = self.known()
        known.refuse_dead(self.chosen(known))
        known.refuse_unknown("keys", self.keys)
        known.refuse_unknown("list_resolvers", self.list_resolvers)
        known.refuse_unknown_operators("daily_queries", self.daily_queries)
        return self

    def known(self) -> Catalogue:
        known = load_catalogue(self.catalogue)
        return known.beside(load_catalogue(self.own_lists)) if self.own_lists else known

    def chosen(self, known: Catalogue) -> list[DnsList]:
        chosen = known.choose(self.lists) if self.lists else known.enabled()
        if not chosen:
            raise CatalogueError("no list is chosen and none is on by default")
        return chosen


class Dnsbl:
    name: ClassVar[str] = "dnsbl"
    Settings: ClassVar[type[CollectorSettings]] = DnsblSettings
    measures: ClassVar[frozenset[str]] = frozenset(("listing", "list_score", "canary"))

    def __init__(self, settings: DnsblSettings) -> None:
        self.settings = settings
        self.known = settings.known()
        self.lists = settings.chosen(self.known)
        self.canaries = Canaries(settings.canary_max_age)
        self.pacers = Pacers(self.lists, self.known.operators)
        limits = {name: operator.daily_queries for name, operator in self.known.operators.items() if operator.daily_queries}
        self.budget = Budget(limits | settings.daily_queries)
        self.memory = Memory()
        self._warned: set[str] = set()

    def collect(self, context: Context, now: datetime) -> Iterator[Batch]:
        """One sweep over what is due. CollectorError(network) where no resolver answered anything."""
        self.budget.begin(now.date(), context.cursor(_BUDGET))
        self.memory.load(context.cursor(_MEMORY))
        sweep = Sweep(
            self._resolvers(),
            pacers=self.pacers,
            pace=Pace(self.settings.timeout_seconds, self.settings.attempts, self.settings.in_flight),
            canaries=self.canaries,
            budget=self.budget,
            listed={entry.id: self.memory.of(entry.id).listed for entry in self.lists},
        )
        targets = _targets(context.targets())
        due = _Due(targets, self.lists, self.memory, now)
        self._leave_out(due)
        waiting, number = _Waiting(), 0
        for batch in self._batches(sweep, due, waiting, context, now):
            yield self._batch(batch, number, now)
            number += 1
        if waiting.seen:
            yield self._batch(waiting.seen, number, now)
        if sweep.asked_count:
            memory = self.memory.saved({entry.id for entry in self.lists}, [target.name for target in targets], now)
            yield Batch(self.name, f"{now.isoformat()}/{_MEMORY}", now, cursor_name=_MEMORY, cursor=memory)
        if sweep.asked_count and not sweep.heard_count and not context.stopping():
            servers = ", ".join(str(server) for server in sweep.resolvers.default)
            raise CollectorError(Reason.NETWORK, f"no resolver answers ({servers}): check that they run and let us ask, or {WHAT_TO_SET}")

    def _batches(
        self, sweep: Sweep, due: _Due, waiting: _Waiting, context: Context, now: datetime
    ) -> Iterator[list[Observation]]:
        """The observations of a sweep as batches that are ripe; what is left stays in `waiting`."""
        zones = [Zone(entry, self._key(entry, context)) for entry in self.lists]
        due.waits = self.waits(due)
        for chunk in sweep.run(due.pairs, zones, now, context.stopping):
            for result in chunk:
                waiting.add(self._learn(result, sweep, due, now))
            yield from waiting.ripe()
        for entry in self.lists:
            self._prove(entry.id, sweep)
        waiting.add(self._taken_back(sweep, due, now))
        unproved = {entry.id for entry in self.lists if entry.is_assumed and not self.memory.of(entry.id).proved_at}
        waiting.add(canary_observations(sweep.healths, sweep.faults, self.name, now, unproved))
        yield from waiting.ripe()

    def _learn(self, result: Result, sweep: Sweep, due: _Due, now: datetime) -> Iterator[Observation]:
        """A result as observations. That a day's questions are used up takes nothing from an answer we have."""
        verdict, memory = result.verdict, self.memory.of(result.entry.id)
        lasts = timedelta(seconds=verdict.ttl_seconds or 0)
        if verdict.listed is not None:
            lasts = max(lasts, due.waits[result.entry.id])
        self._prove(result.entry.id, sweep)
        for each in due.sharing(result):
            name = each.target.name
            if verdict.reason is Reason.BUDGET and name in memory.answered:
                continue
            taken_back = result.entry.id in sweep.liars and name in memory.unproved()
            yield from observations(each, now, void_since=(memory.proved_at or EVER) if taken_back else None)
            if taken_back:
                memory.take_back([name])
            memory.learn(name, verdict.listed, now, lasts)

    def _prove(self, list_id: str, sweep: Sweep) -> None:
        """Take over until when the checks of this sweep vouch for what a list said."""
        if proved_at := sweep.proved_at.get(list_id):
            memory = self.memory.of(list_id)
            memory.proved_at = max(memory.proved_at or EVER, proved_at)

    def _taken_back(self, sweep: Sweep, due: _Due, now: datetime) -> Iterator[Observation]:
        """Of each list that turned out to answer wrongly: what else it said since its last good check is unknown."""
        for list_id, health in sweep.liars.items():
            memory = self.memory.of(list_id)
            names = memory.unproved()
            for target in due.targets:
                if target.name in names:
                    result = Result(target, self.known.lists[list_id], unknown(Reason.CANARY_FAILED, health.why))
                    yield from observations(result, now, void_since=memory.proved_at or EVER)
            memory.take_back(names)

    def _batch(self, seen: Sequence[Observation], number: int, now: datetime) -> Batch:
        key = f"{now.isoformat()}/{number}"
        return Batch(self.name, key, now, tuple(seen), cursor_name=_BUDGET, cursor=self.budget.saved())

    def _key(self, entry: DnsList, context: Context) -> str | None:
        secret = key_for(entry, self.settings.keys) if entry.takes_key else None
        try:
            return context.secret(secret) if secret else None
        except CollectorError as error:
            log.warning("%s: %s", entry.id, error.text)
            return None

    def _resolvers(self) -> Resolvers:
        own = tuple(parse_server(text) for text in self.settings.resolvers)
        by_list: Mapping[str, tuple[Server, ...]] = {
            pattern: tuple(parse_server(text) for text in texts)
            for pattern, texts in self.settings.list_resolvers.items()
        }
        return Resolvers(own or system_servers(), by_list)

    def waits(self, due: _Due) -> dict[str, timedelta]:
        """How long each list is left alone after an answer: its own wish, or longer to last the operator's day."""
        load: dict[str, int] = {}
        for entry in self.lists:
            load[operator_of(entry)] = load.get(operator_of(entry), 0) + due.load(entry)
        waits = {}
        for entry in self.lists:
            own = self.settings.min_poll_interval
            wished = timedelta(seconds=entry.min_poll_interval or 0) if own is None else own
            stretched = self.budget.stretched(operator_of(entry), load[operator_of(entry)])
            if stretched > max(wished, self.settings.every):
                self._warn(operator_of(entry), stretched)
            waits[entry.id] = max(wished, stretched)
        return waits

    def _leave_out(self, due: _Due) -> None:
        """Lists that are free for fewer targets than we have are asked only where they are named."""
        for entry in self.lists:
            if not self.settings.lists and entry.is_beyond_free_use(due.load(entry)):
                due.pairs[entry.id] = []
                if entry.id not in self._warned:
                    self._warned.add(entry.id)
                    log.warning("%s is not asked unless `lists` names it: %s", entry.id, entry.terms)

    def _warn(self, operator: str, stretched: timedelta) -> None:
        if operator not in self._warned:
            self._warned.add(operator)
            hours = stretched.total_seconds() / 3600
            log.warning("%s: to stay within its daily limit each target is asked every %.1f hours only", operator, hours)


class _Waiting:
    """Observations on their way into a batch: no batch too big, and none that waits long for a slow list."""

    def __init__(self) -> None:
        self.seen: list[Observation] = []
        self._since = time.monotonic()

    def add(self, seen: Iterable[Observation]) -> None:
        self.seen.extend(seen)

    def ripe(self) -> Iterator[list[Observation]]:
        while len(self.seen) >= _BATCH or (self.seen and time.monotonic() - self._since > PATIENCE_SECONDS):
            batch, self.seen = self.seen[:_BATCH], self.seen[_BATCH:]
            self._since = time.monotonic()
            yield batch


class _Due:
    """What to ask now: per list the targets it can hold and whose last answer has expired.

    Where a list holds IPv6 by /64 only, one address of each /64 is asked and speaks for its neighbours.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        lists: Sequence[DnsList],
        memory: Memory,
        now: datetime,
    ) -> None:
        self.targets = targets
        self.waits: dict[str, timedelta] = {}  # by list: how long it is left alone after an answer
        self.pairs: dict[str, list[Target]] = {}
        self._neighbours: dict[tuple[str, str], list[Target]] = {}
        self._load: dict[str, int] = {}
        for entry in lists:
            fitting = self._spokesmen([target for target in targets if target.kind in entry.targets], entry)
            self._load[entry.id] = len(fitting)
            due = memory.of(entry.id).due
            ripe = ((due.get(target.name, EVER), number) for number, target in enumerate(fitting))
            # where the day's questions do not reach, those that wait longest come first
            self.pairs[entry.id] = [fitting[number] for at, number in sorted(ripe) if at <= now]

    def load(self, entry: DnsList) -> int:
        return self._load[entry.id]

    def _spokesmen(self, targets: Sequence[Target], entry: DnsList) -> list[Target]:
        if not (entry.ipv6_scope or "").startswith("/64"):
            return list(targets)
        first: dict[Any, Target] = {}
        for target in targets:
            place = IPv6Network((target.name, 64), strict=False) if target.kind == "ipv6" else target
            spokesman = first.setdefault(place, target)
            if spokesman is not target:
                self._neighbours.setdefault((spokesman.name, entry.id), []).append(target)
        return list(first.values())

    def sharing(self, result: Result) -> Iterator[Result]:
        """A result, and the same for those it speaks for."""
        yield result
        for target in self._neighbours.get((result.target.name, result.entry.id), ()):
            yield result._replace(target=target)


def _targets(ours: Sequence[Target]) -> list[Target]:
    """Targets in the form they are asked in, each once; what cannot be asked is left out and said."""
    targets: dict[str, Target] = {}
    for target in ours:
        try:
            parsed = parse_target(target.name, target.role, target.customer)
        except UnsupportedTargetError as error:
            log.warning("not asked: %s", error)
            continue
        targets.setdefault(parsed.name, parsed)
    return list(targets.values())
