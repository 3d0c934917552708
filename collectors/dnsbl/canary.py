"""Whether a list can be believed through a resolver: is what it must list listed, and nothing else?

RFC 5782 §5 (test points) and RFC 6471 §3.4 (lists that list the world, or nothing, after their end). Per list
and resolver: the positive point, the negative point, and a random name no list can hold — an address of
240.0.0.0/4 (RFC 1112, never given out) or a random label. Documentation addresses would do as well, but people
put those in their own test zones.

A failing list knows nothing: all its answers are unknown. Where most lists fail in the same way it is our own
resolver or network that is ill, not they.
"""

from __future__ import annotations

import collections
import random
import string
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from collectors.clients.dns import Lane, Pace, Pacer, Question, Reply, Server, ask
from collectors.clients.dns_wire import Answer
from collectors.contract import Reason
from collectors.dnsbl.catalogue import DnsList
from collectors.dnsbl.decode import decode, is_listing
from collectors.dnsbl.question import Zone, owner_wire, point_wire

_FEWEST_LISTS = 5  # below this many, "most lists fail" says nothing about the network
_NOT_OURS = (None, Reason.REFUSED)
_random = random.SystemRandom()


class Health(NamedTuple):
    """How a list stands at a resolver. `silent`: not one of its points was answered."""

    reason: Reason | None
    why: str | None
    at: datetime
    silent: bool = False

    @property
    def healthy(self) -> bool:
        return self.reason is None


Place = tuple[str, Server]  # list id, resolver


class Canaries:
    """Asks how each list stands at each resolver. Good health is remembered for `max_age`, bad is asked anew."""

    def __init__(self, max_age: timedelta = timedelta(minutes=30)) -> None:
        self.max_age = max_age
        self._known: dict[Place, Health] = {}

    def ask(
        self,
        places: Iterable[tuple[Zone, Server]],
        now: datetime,
        pace: Pace | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> dict[Place, Health]:
        """The health of these, asking only what is not known or too old; less than all when told to stop."""
        wanted = {(zone.entry.id, server): zone for zone, server in places}
        stale = {place: zone for place, zone in wanted.items() if not self.fresh(place, now)}
        tried = {place: points(zone.entry) for place, zone in stale.items()}
        replies: dict[Place, dict[str, Reply]] = {place: {} for place in stale}
        lanes = [_lane(zone, place, tried[place]) for place, zone in stale.items()]
        for chunk in ask(lanes, pace, stopping):
            for reply in chunk:
                place, point = reply.token
                replies[place][point] = reply
        for place, zone in stale.items():
            self._known.pop(place, None)
            if len(replies[place]) == len(tried[place]):
                self._known[place] = judge(zone.entry, replies[place], now)
        return {place: self._known[place] for place in wanted if place in self._known}

    def fresh(self, place: Place, now: datetime) -> bool:
        """Whether the list is known to be healthy there, so that its canaries need not be asked."""
        known = self._known.get(place)
        return known is not None and known.healthy and timedelta(0) <= now - known.at < self.max_age


def _lane(zone: Zone, place: Place, tried: Mapping[str, bytes]) -> Lane:
    interval = 1 / zone.entry.max_qps if zone.entry.max_qps else 0
    questions = [Question(owner + zone.a, (place, point)) for point, owner in tried.items()]
    return Lane([place[1]], questions, pacer=Pacer(interval))


def points(entry: DnsList) -> dict[str, bytes]:
    """The names by which a list is tried, as wire labels: `positive`, `negative`, `random`."""
    tried = {}
    if entry.positive_test:
        tried["positive"] = point_wire(entry.positive_test)
    if entry.negative_test:
        tried["negative"] = point_wire(entry.negative_test)
    if not any(code.category == "bogon" for code in entry.codes.values()):
        tried["random"] = _random_owner(entry)
    return tried


def _random_owner(entry: DnsList) -> bytes:
    by_address = {"ipv4", "ipv6"} & set(entry.targets)
    if "domain" in entry.targets and (not by_address or not _is_address(entry.positive_test)):
        return owner_wire("".join(_random.choices(string.ascii_lowercase, k=1) + _random.choices(_ALNUM, k=15)), "domain")
    if "ipv4" in by_address:
        return owner_wire(str(IPv4Address(_random.randrange(0xF0000000, 0xFF000000))), "ipv4")
    return owner_wire(str(IPv6Address(_random.randrange(0x4 << 124, 0x6 << 124))), "ipv6")  # not given out


_ALNUM = string.ascii_lowercase + string.digits


def _is_address(point: str | None) -> bool:
    return bool(point) and (":" in str(point) or str(point).replace(".", "").isdecimal())


def judge(entry: DnsList, replies: Mapping[str, Reply], now: datetime) -> Health:
    """What the answers to the test points say of a list. Pure.

    A point that got no answer or a refusal says more than "failed": its own reason is kept.
    """
    silent = bool(replies) and all(reply.answer is None for reply in replies.values())
    for point, reply in sorted(replies.items(), key=lambda item: _ORDER.index(item[0])):
        if reply.answer is None:
            reason = reply.reason or Reason.TIMEOUT
            return Health(reason, f"no answer about the {point} test point", now, silent)
        trouble = _positive(entry, reply.answer) if point == "positive" else _negative(entry, reply.answer, point)
        if trouble:
            return Health(*trouble, now)
    return Health(None, None, now)


_ORDER = ("positive", "negative", "random")


def _positive(entry: DnsList, answer: Answer) -> tuple[Reason, str] | None:
    got = {".".join(map(str, address)) for address in answer.addresses}
    if not is_listing(answer, entry):
        verdict = decode(answer, entry)
        if verdict.reason:
            return verdict.reason, f"the positive test point: {verdict.why}"
        return Reason.CANARY_FAILED, f"{entry.positive_test} must be listed and is not"
    missing = set(entry.pos_answers) - got
    if missing:
        return Reason.CANARY_FAILED, f"{entry.positive_test} lacks {', '.join(sorted(missing))}"
    return None


def _negative(entry: DnsList, answer: Answer, point: str) -> tuple[Reason, str] | None:
    if is_listing(answer, entry):
        name = entry.negative_test if point == "negative" else "a random name"
        return Reason.CANARY_FAILED, f"{name} must not be listed and is"
    verdict = decode(answer, entry)
    if verdict.reason:
        return verdict.reason, f"the {point} test point: {verdict.why}"
    return None


def network_fault(healths: Mapping[Place, Health], operators: Mapping[str, str]) -> dict[Server, Reason]:
    """Resolvers through which more than half of the lists, and of their operators, fail in one and the same way.

    Refusals do not count: the lists were reached and said what is wrong. One operator's outage does not either,
    however many lists it has. `operators` maps list ids to who runs them. Pure.
    """
    by_server: dict[Server, dict[str, Health]] = collections.defaultdict(dict)
    for (list_id, server), health in healths.items():
        by_server[server][list_id] = health
    faults: dict[Server, Reason] = {}
    for server, known in by_server.items():
        ways = collections.Counter(health.reason for health in known.values() if health.reason not in _NOT_OURS)
        way, count = ways.most_common(1)[0] if ways else (None, 0)
        failing = {operators[list_id] for list_id, health in known.items() if health.reason == way}
        everyone = {operators[list_id] for list_id in known}
        if way and len(known) >= _FEWEST_LISTS and min(count / len(known), len(failing) / len(everyone)) > 0.5:
            faults[server] = way
    return faults
