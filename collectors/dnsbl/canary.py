"""Whether a list can be believed through a resolver: is what it must list listed, and nothing else?

RFC 5782 §5 (test entries) and RFC 6471 §3.4 (lists that list the world, or nothing, after their end). Per list
and resolver: the positive point, the negative point, and a random name no list can hold: an address of
240.0.0.0/4 (RFC 1112, never given out) or a random label. Documentation addresses would do as well, but people
put those in their own test zones.

A failing list knows nothing: its answers count only between two good checks. Where most lists fail in the same
way, it is our own resolver or network, not they.
"""

from __future__ import annotations

import collections
import random
import string
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from collectors.clients.dns import Lane, Pace, Question, Reply, Server, ask
from collectors.clients.dns_wire import REFUSED, Answer
from collectors.contract import Reason
from collectors.dnsbl.catalogue import DnsList
from collectors.dnsbl.decode import decode, is_listing
from collectors.dnsbl.pacers import Pacers
from collectors.dnsbl.question import Zone, owner_wire, point_wire

_FEWEST_LISTS = 5  # with fewer, "most lists fail" says nothing: all of them must
_FEWEST_OPERATORS = 2
_MOST = 0.5
_NOT_REACHED = frozenset((Reason.TIMEOUT, Reason.NETWORK, Reason.SERVFAIL))
_LIES = frozenset((Reason.CANARY_FAILED, Reason.REWRITTEN))
_random = random.SystemRandom()


class Health(NamedTuple):
    """How a list stands at a resolver.

    `silent`: not one of its points was answered. `reached`: False where the resolver had no answer of the list's
    (silence, SERVFAIL, rcode REFUSED). `proved_at`: until when a good check vouches for earlier answers: its
    positive answer may have lain in the resolver's cache for a while.
    """

    reason: Reason | None
    why: str | None
    at: datetime
    silent: bool = False
    reached: bool = True
    ttl_seconds: int | None = None  # of the positive answer
    proved_at: datetime | None = None

    @property
    def healthy(self) -> bool:
        return self.reason is None

    @property
    def lies(self) -> bool:
        """Whether the list answers wrongly, not merely not at all."""
        return self.reason in _LIES


Place = tuple[str, Server]  # list id, resolver


class Canaries:
    """How each list stood at each resolver. Good health counts for `max_age`, bad is always asked anew."""

    def __init__(self, max_age: timedelta = timedelta(minutes=30)) -> None:
        self.max_age = max_age
        self._known: dict[Place, Health] = {}
        self._longest_ttl: dict[Place, int] = {}

    def fresh(self, place: Place, now: datetime) -> Health | None:
        """The health of a list that need not be asked anew, as it was good lately."""
        known = self._known.get(place)
        fresh = known is not None and known.healthy and timedelta(0) <= now - known.at < self.max_age
        return known if fresh else None

    def learn(self, place: Place, health: Health) -> Health:
        """Remember a check; returns it with `proved_at`."""
        ttl = health.ttl_seconds or 0
        longest = self._longest_ttl[place] = max(self._longest_ttl.get(place, 0), ttl)
        cached = timedelta(seconds=longest - ttl) if health.ttl_seconds is not None else timedelta(0)
        health = health._replace(proved_at=health.at - cached if health.healthy else None)
        self._known[place] = health
        return health

    def forget(self, place: Place) -> None:
        self._known.pop(place, None)

    @property
    def list_count(self) -> int:
        """How many lists were ever tried."""
        return len({list_id for list_id, _ in self._known})


def check_lists(
    places: Iterable[tuple[Zone, Server]], now: datetime, pacers: Pacers, pace: Pace | None = None
) -> dict[Place, Health]:
    """Try lists at resolvers, now, and nothing else."""
    wanted = {(zone.entry.id, server): zone for zone, server in places}
    tried = {place: points(zone.entry) for place, zone in wanted.items()}
    replies: dict[Place, dict[str, Reply]] = {place: {} for place in wanted}
    lanes = [
        Lane(
            [place[1]],
            [Question(owner + zone.a, (place, point)) for point, owner in tried[place].items()],
            pacer=pacers.of(zone.entry),
        )
        for place, zone in wanted.items()
    ]
    for chunk in ask(lanes, pace):
        for reply in chunk:
            place, point = reply.token
            replies[place][point] = reply
    return {place: judge(zone.entry, replies[place], now) for place, zone in wanted.items()}


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
        answer = reply.answer
        if answer is None:
            reason = reply.reason or Reason.TIMEOUT
            return Health(reason, f"no answer about the {point} test point", now, silent, reached=False)
        trouble = _positive(entry, answer) if point == "positive" else _negative(entry, answer, point)
        if trouble:
            reached = trouble[0] not in _NOT_REACHED and answer.rcode != REFUSED
            return Health(*trouble, now, reached=reached)
    positive = replies["positive"].answer if "positive" in replies else None
    return Health(None, None, now, ttl_seconds=positive.ttl_seconds if positive else None)


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


class Fault(NamedTuple):
    """What is wrong with a resolver of ours, by the commonest reason; `reached` as in Health."""

    reason: Reason
    reached: bool

    def explains(self, health: Health) -> bool:
        """Whether this is why a list fails."""
        return not health.healthy and (health.reason == self.reason if self.reached else not health.reached)


def network_fault(
    healths: Mapping[Place, Health], operators: Mapping[str, str], known_count: int = 0
) -> dict[Server, Fault]:
    """Resolvers through which more than half of the lists, and of their operators, fail in one and the same way.

    Not to be reached is one way, in whatever form the resolver says so (silence, SERVFAIL, REFUSED to every name);
    of the others each reason is one. One operator's outage is none of ours, however many lists it has. Where there
    are fewer than five lists (`known_count`: with those not asked this time), all of them must be out of reach, and
    be those of two operators at least. `operators` maps list ids to who runs them. Pure.
    """
    by_server: dict[Server, dict[str, Health]] = collections.defaultdict(dict)
    for (list_id, server), health in healths.items():
        by_server[server][list_id] = health
    faults = {}
    for server, known in by_server.items():
        ways = collections.Counter(_way(health) for health in known.values() if not health.healthy)
        failing = [each for each, health in known.items() if ways and _way(health) == ways.most_common(1)[0][0]]
        theirs, all_operators = {operators[each] for each in failing}, {operators[each] for each in known}
        share = min(len(failing) / len(known), len(theirs) / len(all_operators))
        reasons = collections.Counter(reason for each in failing if (reason := known[each].reason))
        fault = Fault(reasons.most_common(1)[0][0], known[failing[0]].reached) if failing else None
        if fault and max(len(known), known_count) < _FEWEST_LISTS:
            certain = share == 1 and not fault.reached and len(theirs) >= _FEWEST_OPERATORS
        else:
            certain = share > _MOST and len(known) >= _FEWEST_LISTS
        if fault and certain:
            faults[server] = fault
    return faults


def _way(health: Health) -> str:
    return "healthy" if health.healthy else str(health.reason) if health.reached else "out of reach"
