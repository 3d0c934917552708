"""One round of asking: every target, every list that can hold it, exactly one result each.

Canaries first, then the A questions, spread over operators within their limits, then TXT for what was found
(the text explains, it never changes a verdict). Results come as they are known, in no order.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import NamedTuple

from collectors.clients.dns import Lane, Pace, Pacer, Question, Reply, Server, ask
from collectors.clients.dns_wire import Answer, room
from collectors.contract import Reason, Target
from collectors.dnsbl.budget import Budget
from collectors.dnsbl.canary import Canaries, Health, Place, network_fault, points
from collectors.dnsbl.catalogue import DnsList, Operator
from collectors.dnsbl.decode import Verdict, decode, unknown
from collectors.dnsbl.question import Zone, owner_wire

_LONGEST_TEXT = 1000


class Result(NamedTuple):
    target: Target
    entry: DnsList
    verdict: Verdict
    text: str | None = None
    elapsed_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Resolvers:
    """Whom lists are asked through; `by_list` maps a list id or pattern to resolvers of its own."""

    default: tuple[Server, ...]
    by_list: Mapping[str, tuple[Server, ...]] = field(default_factory=dict)

    def of(self, entry: DnsList) -> tuple[Server, ...]:
        own = (servers for pattern, servers in self.by_list.items() if fnmatchcase(entry.id, pattern))
        return next(own, self.default)


def operator_of(entry: DnsList) -> str:
    """Who answers for a list; a list of no known operator is its own."""
    return entry.operator or entry.id


class Sweep:
    """One round over targets and zones. After it: `healths` (canaries), `faults` (resolvers that are ill
    themselves, and how), `asked_count` and `heard_count` (questions, and how many had any answer).
    """

    def __init__(
        self,
        resolvers: Resolvers,
        *,
        pace: Pace | None = None,
        canaries: Canaries | None = None,
        budget: Budget | None = None,
        operators: Mapping[str, Operator] | None = None,
    ) -> None:
        self.resolvers = resolvers
        self.pace = pace
        self.canaries = canaries
        self.budget = budget
        self.operators = operators or {}
        self.healths: dict[Place, Health] = {}
        self.faults: dict[Server, Reason] = {}
        self.asked_count = 0
        self.heard_count = 0
        self._done: list[Result] = []  # known without asking
        self._lanes: dict[str, Lane] = {}  # by list id

    def run(
        self,
        pairs: Mapping[str, Sequence[Target]],
        zones: Sequence[Zone],
        now: datetime,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Iterator[list[Result]]:
        """Ask each zone about its targets (`pairs`, by list id); yield results as they come."""
        zones = [zone for zone in zones if pairs.get(zone.entry.id) and not self._hopeless(zone, pairs)]
        servers = self._trusted(zones, pairs, now, stopping)
        if stopping():
            return
        lanes = self._make_lanes([zone for zone in zones if zone.entry.id in servers], servers, pairs)
        for chunk in itertools.chain([[]], ask(lanes, self.pace, stopping)):
            ready, self._done = self._done, []
            ready.extend(result for reply in chunk if (result := self._hear(reply)))
            if ready:
                yield ready
        if self._done:
            yield self._done

    # --- what need not be asked

    def _hopeless(self, zone: Zone, pairs: Mapping[str, Sequence[Target]]) -> bool:
        entry = zone.entry
        if entry.is_dead:
            verdict = unknown(Reason.DEAD, entry.obituary())
        elif zone.key_missing:
            verdict = unknown(Reason.KEY_MISSING, "this list wants a key")
        else:
            return False
        self._give_up(zone, pairs[entry.id], verdict)
        return True

    def _give_up(self, zone: Zone, targets: Iterable[Target], verdict: Verdict) -> None:
        self._done.extend(
            Result(target, zone.entry, verdict if target.kind in zone.entry.targets else _unsupported(target, zone.entry))
            for target in targets
        )

    def _trusted(
        self, zones: Sequence[Zone], pairs: Mapping[str, Sequence[Target]], now: datetime, stopping: Callable[[], bool]
    ) -> dict[str, tuple[Server, ...]]:
        """The resolvers through which each list is healthy; the targets of lists with none are given up."""
        trusted = {zone.entry.id: self.resolvers.of(zone.entry) for zone in zones}
        if self.canaries is None:
            return trusted
        able = [zone for zone in zones if any(target.kind in zone.entry.targets for target in pairs[zone.entry.id])]
        self._ask_canaries(self.canaries, able, now, stopping)
        for zone in able:
            healths = [(server, self.healths.get((zone.entry.id, server))) for server in trusted[zone.entry.id]]
            trusted[zone.entry.id] = tuple(server for server, health in healths if health and health.healthy)
            if not trusted[zone.entry.id]:
                self._give_up(zone, pairs[zone.entry.id], self.mistrust(zone.entry))
                del trusted[zone.entry.id]
        return trusted

    def _ask_canaries(
        self, canaries: Canaries, zones: Sequence[Zone], now: datetime, stopping: Callable[[], bool]
    ) -> None:
        places = []
        for zone in zones:
            for server in self.resolvers.of(zone.entry):
                known = canaries.fresh((zone.entry.id, server), now)
                if known or self._take(zone.entry, len(points(zone.entry))):
                    places.append((zone, server))
        self.healths = canaries.ask(places, now, self.pace, stopping)
        asked = [health for health in self.healths.values() if health.at == now]
        self.asked_count += len(asked)
        self.heard_count += sum(not health.silent for health in asked)
        operators = {zone.entry.id: operator_of(zone.entry) for zone in zones}
        self.faults = network_fault(self.healths, operators)

    def mistrust(self, entry: DnsList) -> Verdict:
        """Why a list is not believed, by the canaries at its first resolver."""
        server = self.resolvers.of(entry)[0]
        health = self.healths.get((entry.id, server))
        if health is None:
            return _spent(entry)
        if health.reason and self.faults.get(server) == health.reason:
            return unknown(Reason.NETWORK, f"most lists fail alike through {server} ({health.reason}): {health.why}")
        return unknown(health.reason or Reason.CANARY_FAILED, health.why)

    # --- asking

    def _make_lanes(
        self, zones: Sequence[Zone], servers: Mapping[str, tuple[Server, ...]], pairs: Mapping[str, Sequence[Target]]
    ) -> list[Lane]:
        """One lane per operator and set of resolvers."""
        shared: dict[tuple[str, tuple[Server, ...]], list[Zone]] = {}
        for zone in zones:
            shared.setdefault((operator_of(zone.entry), servers[zone.entry.id]), []).append(zone)
        owners = _owners(pairs[zone.entry.id] for zone in zones)
        lanes = []
        for (operator, through), together in shared.items():
            questions = self._questions(together, pairs, owners)
            lane = Lane(through, questions, pacer=Pacer(self._interval(operator, together)))
            self._lanes.update((zone.entry.id, lane) for zone in together)
            lanes.append(lane)
        return lanes

    def _interval(self, operator: str, zones: Iterable[Zone]) -> float:
        told = self.operators.get(operator)
        limits = [zone.entry.max_qps for zone in zones] + [told.max_qps if told else None]
        return max((1 / limit for limit in limits if limit), default=0.0)

    def _questions(
        self, zones: Sequence[Zone], pairs: Mapping[str, Sequence[Target]], owners: Mapping[str, bytes]
    ) -> Iterator[Question]:
        for zone in zones:
            entry, suffix = zone.entry, zone.a
            longest, kinds, budget = room(suffix), entry.targets, self.budget
            for target in pairs[entry.id]:
                owner = owners[target.name]
                if target.kind not in kinds or len(owner) > longest:
                    self._done.append(Result(target, entry, _unsupported(target, entry)))
                elif budget and not self._take(entry):
                    self._done.append(Result(target, entry, _spent(entry)))
                else:
                    self.asked_count += 1
                    yield Question(owner + suffix, (target, zone))

    def _take(self, entry: DnsList, count: int = 1) -> bool:
        return self.budget is None or self.budget.take(operator_of(entry), count)

    # --- hearing

    def _hear(self, reply: Reply) -> Result | None:
        """The result a reply completes; none where a text is still to be asked for."""
        if isinstance(reply.token, _Hit):
            return reply.token.result._replace(text=_readable(reply.token.zone, reply.answer))
        target, zone = reply.token
        if reply.answer is None:
            reason = reply.reason or Reason.TIMEOUT
            return Result(target, zone.entry, unknown(reason, _SILENCE[reason]), None, reply.elapsed_seconds)
        self.heard_count += 1
        verdict = decode(reply.answer, zone.entry, target.role)
        result = Result(target, zone.entry, verdict, None, reply.elapsed_seconds)
        if not (verdict.listed and zone.entry.txt_reason and self._take(zone.entry)):
            return result
        wire = owner_wire(target.name, target.kind) + zone.txt
        self._lanes[zone.entry.id].add(Question(wire, _Hit(result, zone)))
        return None


class _Hit(NamedTuple):
    """A listing that waits for its text."""

    result: Result
    zone: Zone


_SILENCE = {
    Reason.TIMEOUT: "no answer in time",
    Reason.NETWORK: "the resolver cannot be reached",
}


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


def _spent(entry: DnsList) -> Verdict:
    return unknown(Reason.BUDGET, f"the questions {operator_of(entry)} allows in a day are used up")


def _readable(zone: Zone, answer: Answer | None) -> str | None:
    """The text of a list in one line, without its key and without what a terminal would obey."""
    texts = answer.texts if answer else ()
    joined = zone.redacted("; ".join(texts))
    clean = "".join(" " if unicodedata.category(sign)[0] == "C" else sign for sign in joined)
    return clean[:_LONGEST_TEXT].strip() or None
