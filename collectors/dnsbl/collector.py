"""The collector `dnsbl`: which of our addresses and domains stand on which DNS lists.

Asks the lists through the user's own resolvers, each pair of target and list not before its last answer has
expired (TTL), not more often than the list likes, and not more than its operator allows in a day. What is not
due keeps its last answer. A list that fails its canaries gives unknown answers only.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from ipaddress import IPv6Network
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from collectors.clients.dns import Pace, Server
from collectors.clients.dns_resolvers import parse_server, system_servers
from collectors.contract import CollectorError, CollectorSettings, Context, Reason, Target
from collectors.dnsbl.budget import Budget
from collectors.dnsbl.canary import Canaries
from collectors.dnsbl.catalogue import Catalogue, CatalogueError, DnsList, load_catalogue
from collectors.dnsbl.facts import canary_observations, observations
from collectors.dnsbl.question import UnsupportedTargetError, Zone, key_for, parse_target
from collectors.dnsbl.sweep import Resolvers, Result, Sweep, operator_of
from collectors.observation import Batch, Observation

log = logging.getLogger(__name__)

_BATCH = 2000
_PATIENCE_SECONDS = 5.0
_CURSOR = "budget"
_LONGEST_WAIT = timedelta(days=1)  # whatever TTL a list gives


class DnsblSettings(CollectorSettings):
    """Lists are chosen by id or pattern; keys are the names of secrets, by list id or pattern."""

    resolvers: tuple[str, ...] = ()  # HOST:PORT; empty: the system's, unless that is a public one
    list_resolvers: dict[str, tuple[str, ...]] = Field(default_factory=dict)
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
        limits = {name: told.daily_queries for name, told in self.known.operators.items() if told.daily_queries}
        self.budget = Budget(limits | settings.daily_queries)
        self._due: dict[tuple[str, str], datetime] = {}  # (target, list) → when to ask again
        self._warned: set[str] = set()

    def collect(self, context: Context, now: datetime) -> Iterator[Batch]:
        """One sweep over what is due. CollectorError(network) where no resolver answered anything."""
        zones = [Zone(entry, self._key(entry, context)) for entry in self.lists]
        sweep = Sweep(
            self._resolvers(),
            pace=Pace(self.settings.timeout_seconds, self.settings.attempts, self.settings.in_flight),
            canaries=self.canaries,
            budget=self.budget,
            operators=self.known.operators,
        )
        self.budget.begin(now.date(), context.cursor(_CURSOR))
        due = _Due(_targets(context.targets()), self.lists, self._due, now)
        waits = self._waits(due)
        waiting = _Waiting()
        number = 0
        for chunk in sweep.run(due.pairs, zones, now, context.stopping):
            if not waiting.told:
                waiting.add(canary_observations(sweep.healths, sweep.faults, self.name, now))
            for result in chunk:
                self._put_off(result, waits[result.entry.id], now)
                waiting.add(seen for one in due.sharing(result) for seen in observations(one, now))
            for batch in waiting.ripe():
                yield self._batch(batch, number, now)
                number += 1
        if waiting.seen:
            yield self._batch(waiting.seen, number, now)
        if sweep.asked_count and not sweep.heard_count and not context.stopping():
            servers = ", ".join(str(server) for server in sweep.resolvers.default)
            raise CollectorError(Reason.NETWORK, f"no resolver answers ({servers}): check that they run and let us ask")

    def _batch(self, seen: Sequence[Observation], number: int, now: datetime) -> Batch:
        key = f"{now.isoformat()}/{number}"
        return Batch(self.name, key, now, tuple(seen), cursor_name=_CURSOR, cursor=self.budget.saved())

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

    def _waits(self, due: _Due) -> dict[str, timedelta]:
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

    def _warn(self, operator: str, stretched: timedelta) -> None:
        if operator not in self._warned:
            self._warned.add(operator)
            hours = stretched.total_seconds() / 3600
            log.warning("%s: to stay within its daily limit each target is asked every %.1f hours only", operator, hours)

    def _put_off(self, result: Result, wait: timedelta, now: datetime) -> None:
        verdict = result.verdict
        lasts = min(timedelta(seconds=verdict.ttl_seconds or 0), _LONGEST_WAIT)
        if verdict.listed is not None:
            lasts = max(lasts, wait)
        self._due[result.target.name, result.entry.id] = now + lasts


class _Waiting:
    """Observations on their way into a batch: no batch too big, and none that waits long for a slow list."""

    def __init__(self) -> None:
        self.seen: list[Observation] = []
        self.told = False  # whether anything was ever added
        self._since = time.monotonic()

    def add(self, seen: Iterable[Observation]) -> None:
        self.told = True
        self.seen.extend(seen)

    def ripe(self) -> Iterator[list[Observation]]:
        while len(self.seen) >= _BATCH or (self.seen and time.monotonic() - self._since > _PATIENCE_SECONDS):
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
        due: Mapping[tuple[str, str], datetime],
        now: datetime,
    ) -> None:
        self.pairs: dict[str, list[Target]] = {}
        self._neighbours: dict[tuple[str, str], list[Target]] = {}
        self._load: dict[str, int] = {}
        for entry in lists:
            fitting = self._spokesmen([target for target in targets if target.kind in entry.targets], entry)
            self._load[entry.id] = len(fitting)
            self.pairs[entry.id] = [t for t in fitting if due.get((t.name, entry.id), now) <= now]

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
            asked = parse_target(target.name, target.role, target.customer)
        except UnsupportedTargetError as error:
            log.warning("not asked: %s", error)
            continue
        targets.setdefault(asked.name, asked)
    return list(targets.values())
