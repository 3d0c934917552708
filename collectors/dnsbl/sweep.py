"""One sweep: every target, every list that can hold it, exactly one result each.

Every list goes its own way (list_round), all at the same time over the same sockets; results come as they count,
in no order. What failed is sorted at the end: whether it was the list, or a resolver or network of ours.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase

from collectors.clients.dns import Lane, Pace, Reply, Server, ask
from collectors.clients.dns_wire import room
from collectors.contract import Reason, Target
from collectors.dnsbl.budget import Budget
from collectors.dnsbl.canary import Canaries, Fault, Health, Place, network_fault, points
from collectors.dnsbl.catalogue import DnsList
from collectors.dnsbl.decode import Verdict, unknown
from collectors.dnsbl.list_round import Again, Round, Stage, Text, spent
from collectors.dnsbl.pacers import Pacers, operator_of
from collectors.dnsbl.question import Zone, owner_wire
from collectors.dnsbl.result import Result


@dataclass(frozen=True, slots=True)
class Resolvers:
    """Whom lists are asked through; `by_list` maps a list id or pattern to resolvers of its own."""

    default: tuple[Server, ...]
    by_list: Mapping[str, tuple[Server, ...]] = field(default_factory=dict)

    def of(self, entry: DnsList) -> tuple[Server, ...]:
        own = (servers for pattern, servers in self.by_list.items() if fnmatchcase(entry.id, pattern))
        return next(own, self.default)


class Sweep:
    """One sweep over targets and zones. After it: `healths` (the last check of each list), `faults` (resolvers that
    are at fault themselves), `liars` (lists whose check failed by a wrong answer, with that check), `proved_at` (by
    list: until when a good check vouches for answers), `asked_count` and `heard_count` (questions, and how many had any answer).

    `listed` holds, by list id, the targets that were listed when last asked: what would change that is asked twice.
    """

    def __init__(
        self,
        resolvers: Resolvers,
        *,
        pacers: Pacers,
        pace: Pace | None = None,
        canaries: Canaries | None = None,
        budget: Budget | None = None,
        listed: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self.resolvers = resolvers
        self.pacers = pacers
        self.pace = pace
        self.canaries = canaries
        self.budget = budget
        self.listed = listed or {}
        self.healths: dict[Place, Health] = {}
        self.faults: dict[Server, Fault] = {}
        self.liars: dict[str, Health] = {}
        self.proved_at: dict[str, datetime] = {}
        self.asked_count = 0
        self.heard_count = 0
        self._lanes: list[Lane] = []
        self._rounds: list[Round] = []
        self._done: list[Result] = []  # known without asking

    def run(
        self,
        pairs: Mapping[str, Sequence[Target]],
        zones: Sequence[Zone],
        now: datetime,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Iterator[list[Result]]:
        """Ask each zone about its targets (`pairs`, by list id); yield results as they come to count."""
        owners = _owners(pairs[zone.entry.id] for zone in zones if zone.entry.id in pairs)
        for zone in zones:
            if targets := self._askable(zone, pairs.get(zone.entry.id, ()), owners):
                self._start(zone, targets, owners, now)
        yield from self._ready()
        busy = True
        while busy and not stopping():
            for chunk in ask(self._lanes, self.pace, stopping):
                for reply in chunk:
                    token = reply.token
                    if token.__class__ is tuple:  # by far the most
                        token[0].hear(token[1], reply)
                    else:
                        self._hear(reply)
                yield from self._ready()
            yield from self._ready()
            busy = any(lane.waiting for lane in self._lanes)
        if not stopping():
            self._conclude()
            yield from self._ready()

    def _ready(self) -> Iterator[list[Result]]:
        ready, self._done = self._done, []
        for round_ in self._rounds:
            if round_.stage is not Stage.DONE:
                round_.advance()
            if round_.done:
                ready.extend(round_.done)
                round_.done = []
        if ready:
            yield ready

    # --- what is asked

    def _askable(self, zone: Zone, targets: Sequence[Target], owners: Mapping[str, bytes]) -> list[Target]:
        """The targets a list can be asked about; the others have their results at once."""
        entry, longest = zone.entry, room(zone.a)
        hopeless = _hopeless(zone)
        askable = []
        for target in targets:
            if target.kind not in entry.targets or len(owners[target.name]) > longest:
                self._done.append(Result(target, entry, _unsupported(target, entry)))
            elif hopeless:
                self._done.append(Result(target, entry, hopeless))
            else:
                askable.append(target)
        return askable

    def _start(self, zone: Zone, targets: Sequence[Target], owners: Mapping[str, bytes], now: datetime) -> None:
        entry = zone.entry
        servers = self.resolvers.of(entry)
        checked = self.canaries is not None and bool(points(entry))
        fresh = {each: health for each in servers if (health := self._fresh(entry, each, now))} if checked else {}
        stale = [server for server in servers if server not in fresh] if checked else []
        if checked and not self._take(entry, len(points(entry)) * (len(servers) + len(stale))):
            self._done.extend(Result(target, entry, spent(entry)) for target in targets)
            return
        lane = Lane((), pacer=self.pacers.of(entry))
        self._lanes.append(lane)
        take = functools.partial(self._take, entry) if self.budget else None
        listed = self.listed.get(entry.id, ())
        round_ = Round(zone, targets, lane, owners=owners, was_listed=listed, take=take, lanes=self._lanes, now=now)
        round_.checked = checked
        self._rounds.append(round_)
        for server in fresh if checked else servers:
            round_.begin(server)
        for server, health in fresh.items():
            self.healths[entry.id, server] = health
        if stale:
            self.asked_count += len(stale)
            round_.check(stale)

    def _fresh(self, entry: DnsList, server: Server, now: datetime) -> Health | None:
        return self.canaries.fresh((entry.id, server), now) if self.canaries else None

    def _take(self, entry: DnsList, count: int) -> bool:
        return self.budget is None or self.budget.take(operator_of(entry), count)

    # --- what comes in

    def _hear(self, reply: Reply) -> None:
        """The reply to anything but a plain question about a target."""
        token = reply.token
        kind = token.__class__
        if kind is Text:
            token.round.hear_text(token, reply)
        elif kind is Again:
            token.round.hear_again(token, reply)
        elif (server := token.round.hear_point(token, reply)) is not None:
            self._checked(token.round, server)

    def _checked(self, round_: Round, server: Server) -> None:
        """A check of test entries is complete: one before anything is asked there, or one that vouches for answers."""
        assert self.canaries is not None
        place, vouching = (round_.entry.id, server), server in round_.lane.servers
        health = self.healths[place] = self.canaries.learn(place, round_.healths[server])
        if health.proved_at:
            self.proved_at[round_.entry.id] = health.proved_at
        if round_.stage is Stage.DONE:
            return
        if not vouching:
            self.heard_count += not health.silent
            if health.healthy:
                round_.begin(server)
            elif round_.stage is Stage.OPENING and not round_.checks:
                first = round_.healths[min(round_.healths, key=self.resolvers.of(round_.entry).index)]
                round_.fail(unknown(first.reason or Reason.CANARY_FAILED, first.why))
        elif not round_.vouching:
            ours = [round_.healths[each] for each in round_.lane.servers if each in round_.healths]
            bad = next((each for each in ours if each.lies), None)
            if bad is None and not any(each.healthy for each in ours):
                bad = ours[0]
            if bad:
                round_.fail(unknown(bad.reason or Reason.CANARY_FAILED, bad.why))
            else:
                round_.vouch()

    # --- what failed

    def _conclude(self) -> None:
        """Sort faults of ours from those of lists, and give the targets of failed lists their results."""
        operators = {round_.entry.id: operator_of(round_.entry) for round_ in self._rounds}
        self.faults = network_fault(self.healths, operators, self.canaries.list_count if self.canaries else 0)
        for round_ in self._rounds:
            self.asked_count += round_.asked_count
            self.heard_count += round_.heard_count
            if round_.failed:
                self._note_liar(round_)
                verdict = self._mistrust(round_)
                round_.done.extend(Result(target, round_.entry, verdict) for target in round_.unanswered())

    def _note_liar(self, round_: Round) -> None:
        list_id = round_.entry.id
        checks = [self.healths[place] for each in self.resolvers.of(round_.entry) if (place := (list_id, each)) in self.healths]
        if lie := next((health for health in checks if health.lies), None):
            self.liars[list_id] = lie

    def _mistrust(self, round_: Round) -> Verdict:
        """Why a list is not believed: a fault of ours at its first resolver, or what its check says."""
        entry = round_.entry
        server = self.resolvers.of(entry)[0]
        health, fault = self.healths.get((entry.id, server)), self.faults.get(server)
        if health and fault and fault.explains(health):
            return unknown(Reason.NETWORK, f"most lists fail alike through {server} ({fault.reason}): {health.why}")
        assert round_.failed is not None
        return round_.failed


def _hopeless(zone: Zone) -> Verdict | None:
    if zone.entry.is_dead:
        return unknown(Reason.DEAD, zone.entry.why_dead())
    return unknown(Reason.KEY_MISSING, "this list wants a key") if zone.key_missing else None


def _owners(several: Iterable[Sequence[Target]]) -> dict[str, bytes]:
    """Every target's labels, encoded once."""
    owners: dict[str, bytes] = {}
    for targets in several:
        for target in targets:
            if target.name not in owners:
                owners[target.name] = owner_wire(target.name, target.kind)
    return owners


def _unsupported(target: Target, entry: DnsList) -> Verdict:
    if target.kind in entry.targets:
        return unknown(Reason.UNSUPPORTED_TARGET, "the name is too long for this list")
    return unknown(Reason.UNSUPPORTED_TARGET, f"this list holds {', '.join(entry.targets)}, no {target.kind}")
