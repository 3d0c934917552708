"""Which feedback loops we are enrolled in, and where we send without one. Pure.

An enrolment is our side of a provider's programme: an IP, a domain, or the whole account there. How it may
move (the state is set by people, for providers answer by mail and portal; only `lapsed` comes by itself):

  from, to   wanted  requested  active  lapsed  refused
  (none)      yes     yes        yes     no      yes
  wanted      =       yes        yes     no      yes
  requested   yes     =          yes     no      yes
  active      no      no         =       yes     no
  lapsed      yes     yes        yes     =       yes
  refused     yes     yes        no      no      =

What is set again to the state it has changes only its details. A gap is mail to a provider with a programme from
an IP or domain that no active enrolment covers. May be wrong where a provider enrols more than it says it does (a
domain with all below it), and where the records of mail lack its IP or domain.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from collectors.providers import FeedbackLoopProgramme, Provider
from monitor.inventory.items import Inventory
from monitor.inventory.names import domain_name


class Kind(enum.StrEnum):
    """What a provider enrols."""

    IP = "ip"
    DOMAIN = "domain"
    ACCOUNT = "account"


EVERYTHING = "account"  # the subject of an enrolment of the kind account, unless it is given a name


class State(enum.StrEnum):
    WANTED = "wanted"
    REQUESTED = "requested"
    ACTIVE = "active"
    LAPSED = "lapsed"
    REFUSED = "refused"


# state (None: no enrolment yet) → the states it may be set to besides its own
MOVES: dict[State | None, frozenset[State]] = {
    None: frozenset({State.WANTED, State.REQUESTED, State.ACTIVE, State.REFUSED}),
    State.WANTED: frozenset({State.REQUESTED, State.ACTIVE, State.REFUSED}),
    State.REQUESTED: frozenset({State.WANTED, State.ACTIVE, State.REFUSED}),
    State.ACTIVE: frozenset({State.LAPSED}),
    State.LAPSED: frozenset({State.WANTED, State.REQUESTED, State.ACTIVE, State.REFUSED}),
    State.REFUSED: frozenset({State.WANTED, State.REQUESTED}),
}


def check_move(old: State | None, new: State) -> None:
    """Raises ValueError where an enrolment cannot go that way."""
    if old is not new and new not in MOVES[old]:
        ways = ", ".join(sorted(MOVES[old]))
        raise ValueError(f"an enrolment that is {old or 'not there'} cannot become {new}; it may become {ways}")


def subject_name(kind: Kind, subject: str) -> str:
    """The subject in canonical form: an address or network, a domain, or a name. Raises ValueError."""
    if kind == Kind.DOMAIN:
        return domain_name(subject)
    if kind == Kind.ACCOUNT:
        return subject.strip() or EVERYTHING
    network = ipaddress.ip_network(subject.strip())
    return str(network.network_address if network.num_addresses == 1 else network)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What coverage asks of an enrolment."""

    provider: str
    kind: Kind
    subject: str
    state: State
    ends_at: datetime | None = None

    def covers(self, kind: str, subject: str) -> bool:
        """Whether it is about this subject, in whatever state it is."""
        if self.kind == Kind.ACCOUNT:
            return True
        if self.kind != kind:
            return False
        if kind == Kind.IP and "/" in self.subject:
            return ipaddress.ip_address(subject) in ipaddress.ip_network(self.subject)
        return self.subject == subject

    def holds(self, now: datetime) -> bool:
        return self.state is State.ACTIVE and (self.ends_at is None or self.ends_at > now)


@dataclass(frozen=True, slots=True)
class Sent:
    """What was delivered to each provider: in all, and as far as its records say from which IP and domain."""

    provider: dict[str, float] = field(default_factory=dict)
    subject: dict[tuple[str, str], float] = field(default_factory=dict)  # (ip or domain, provider) → messages

    def add(self, ip: str | None, domain: str | None, provider: str, delivered: float) -> None:
        self.provider[provider] = self.provider.get(provider, 0) + delivered
        for kind, subject in ((Kind.IP, ip), (Kind.DOMAIN, domain)):
            key = (subject or kind, provider)  # under its kind: what was not stated
            self.subject[key] = self.subject.get(key, 0) + delivered

    def of(self, kind: Kind, subject: str, provider: str) -> float:
        return self.provider.get(provider, 0) if kind == Kind.ACCOUNT else self.subject.get((subject, provider), 0)


@dataclass(frozen=True, slots=True)
class GapGroup:
    """The uncovered subjects of one pool or customer."""

    owner: str  # "pool shared", "customer acme", or "nobody's"
    subjects: tuple[str, ...]
    delivered: float


@dataclass(frozen=True, slots=True)
class Gap:
    """Mail to one provider that its loop does not report on, though it could."""

    provider: str
    name: str
    keyed_by: Kind
    url: str | None
    note: str | None
    delivered: float
    groups: tuple[GapGroup, ...]
    requested: tuple[str, ...]  # those of the subjects whose enrolment is requested and not yet answered

    @property
    def subjects(self) -> list[str]:
        return [subject for group in self.groups for subject in group.subjects]

    @property
    def summary(self) -> str:
        count = len(self.subjects)
        what = {Kind.IP: "IP", Kind.DOMAIN: "domain", Kind.ACCOUNT: "account"}[self.keyed_by]
        who = f"{count} {what}{'s send' if count != 1 else ' sends'}" if self.keyed_by != Kind.ACCOUNT else "we send"
        return f"{who} to {self.name} ({self.delivered:,.0f} a week) without its feedback loop"

    @property
    def action(self) -> str:
        open_ones = len(self.subjects) - len(self.requested)
        what = {Kind.IP: "these IPs", Kind.DOMAIN: "these domains", Kind.ACCOUNT: "our account"}[self.keyed_by]
        where = f" at {self.url}" if self.url else ", asking its postmaster"
        hint = f"enrol {what}{where}" if open_ones else f"wait for its answer, or ask again{where}"
        waits = f"; {len(self.requested)} asked for already" if self.requested and open_ones else ""
        return f"{hint}{f' ({self.note})' if self.note else ''}{waits}"


class NoLoopKind(enum.StrEnum):
    """Why nobody reports, or nobody can say."""

    AGGREGATE = "aggregate"
    NONE = "none"
    UNKNOWN = "unknown"
    UNATTRIBUTED = "unattributed"


_NO_LOOP_WORDS = {
    NoLoopKind.AGGREGATE: "counts only, no reports", NoLoopKind.NONE: "has no feedback loop",
    NoLoopKind.UNKNOWN: "whether it has a feedback loop is not known",
    NoLoopKind.UNATTRIBUTED: "its loop may not cover this: the records of the mail lack what it is enrolled by",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NoLoop:
    """Mail to a provider that is no gap, for no enrolment would close it or nobody can know, and why."""

    provider: str
    name: str
    delivered: float
    kind: NoLoopKind
    note: str | None
    url: str | None

    @property
    def summary(self) -> str:
        return f"{self.name}: {_NO_LOOP_WORDS[self.kind]}{f' ({self.note})' if self.note else ''}"


@dataclass(frozen=True, slots=True)
class Coverage:
    """Gaps, and the providers without a loop, most mail first."""

    gaps: tuple[Gap, ...]
    without: tuple[NoLoop, ...]


def coverage(
    inventory: Inventory, sent: Sent, table: Mapping[str, Provider], enrolments: Sequence[Enrolment], now: datetime
) -> Coverage:
    """Where mail goes out without a loop. Only IPs and domains of the inventory are ours to enrol."""
    gaps: list[Gap] = []
    without: list[NoLoop] = []
    for provider, delivered in sent.provider.items():
        if delivered <= 0:
            continue
        row = table.get(provider)
        programme = row.fbl if row else None
        name = row.name if row else provider
        if programme is None:
            without.append(NoLoop(provider, name, delivered, NoLoopKind.UNKNOWN, None, None))
            continue
        if programme.kind != "arf":
            without.append(NoLoop(provider, name, delivered, NoLoopKind(programme.kind), programme.note, programme.url))
            continue
        theirs = [each for each in enrolments if each.provider == provider]
        unattributed = sent.of(Kind(programme.keyed_by), programme.keyed_by, provider) if programme.keyed_by else 0
        if unattributed > 0 and not any(each.kind == Kind.ACCOUNT and each.holds(now) for each in theirs):
            note = f"enrolled by {programme.keyed_by}"
            without.append(NoLoop(provider, name, unattributed, NoLoopKind.UNATTRIBUTED, note, programme.url))
        if gap := _gap((provider, name), programme, _open(inventory, sent, provider, programme, theirs, now), theirs):
            gaps.append(gap)
    return Coverage(
        tuple(sorted(gaps, key=lambda gap: (-gap.delivered, gap.provider))),
        tuple(sorted(without, key=lambda each: (-each.delivered, each.provider))),
    )


def _open(
    inventory: Inventory, sent: Sent, provider: str, programme: FeedbackLoopProgramme, theirs: Sequence[Enrolment],
    now: datetime,
) -> dict[str, tuple[str, float]]:
    """The subjects without an active enrolment: subject → (owner, delivered)."""
    kind = Kind(programme.keyed_by or Kind.ACCOUNT)
    subjects: dict[str, tuple[str, float]] = {}
    for subject, owner in _ours(inventory, kind):
        delivered = sent.of(kind, subject, provider)
        if delivered > 0 and not any(each.holds(now) and each.covers(kind, subject) for each in theirs):
            subjects[subject] = (owner, delivered)
    return subjects


def _ours(inventory: Inventory, kind: str) -> Iterable[tuple[str, str]]:
    if kind == Kind.IP:
        for ip in sorted(inventory.ips.values(), key=lambda ip: (":" in ip.address, int(ipaddress.ip_address(ip.address)))):
            yield ip.address, f"pool {ip.pool}" if ip.pool else _owner(ip.customer)
    elif kind == Kind.DOMAIN:
        for domain in sorted(inventory.domains.values(), key=lambda domain: domain.domain):
            yield domain.domain, _owner(domain.customer)
    else:
        yield EVERYTHING, "all of us"


def _owner(customer: str | None) -> str:
    return f"customer {customer}" if customer else "nobody's"


def _gap(
    provider: tuple[str, str], programme: FeedbackLoopProgramme, lacking: Mapping[str, tuple[str, float]],
    theirs: Sequence[Enrolment],
) -> Gap | None:
    if not lacking:
        return None
    kind = Kind(programme.keyed_by or Kind.ACCOUNT)
    owners: dict[str, list[str]] = {}
    for subject, (owner, _) in lacking.items():
        owners.setdefault(owner, []).append(subject)
    groups = [GapGroup(owner, tuple(subjects), sum(lacking[each][1] for each in subjects)) for owner, subjects in owners.items()]
    requested = [each for each in theirs if each.state is State.REQUESTED]
    requested_subjects = tuple(subject for subject in lacking if any(each.covers(kind, subject) for each in requested))
    return Gap(
        *provider, kind, programme.url, programme.note, sum(group.delivered for group in groups),
        tuple(sorted(groups, key=lambda group: (-group.delivered, group.owner))), requested_subjects,
    )
