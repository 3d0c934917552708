"""Restrictions → what KumoMTA can be given: suspensions of queues, rates of its shaping overlay. Pure.

A scope is spoken only where KumoMTA can match it exactly, and never widened: a ready queue holds the mail of all customers, so
it takes scopes of IP, pool and provider; a scheduled queue has tenant, campaign and recipient domain, each by its exact name. What
cannot be said is `unspoken`, with the reason. A scope without any criterion would suspend every queue, the hook's own too.
Several restrictions on one scope are one suspension: KumoMTA keeps one per scope, and the lift of one would lift the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from collectors.providers import ProviderTable
from monitor.config.mta import KumoMta
from monitor.gate import Effect, Restriction
from monitor.mta.kumomta.seen import Seen

OTHER = "other"
_QUEUE_DIMENSIONS = ("customer", "stream", "campaign")
_BURST_PARTS = 24  # a burst of the 24th part of a day's cap, or of an hour's rate


class ReadyKey(NamedTuple):
    """A ready queue by its name."""

    name: str
    source: str


class SchedKey(NamedTuple):
    """Scheduled queues by criteria; None matches any."""

    campaign: str | None
    domain: str | None
    tenant: str | None


Key = ReadyKey | SchedKey


@dataclass(frozen=True, slots=True)
class Suspension:
    """One scope of KumoMTA's. `until` None: until it is lifted. `ids`: of the restrictions it stands for."""

    reason: str
    ids: tuple[str, ...]
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` messages in an hour (`per` h) or a day (d), at once no more than `burst`.

    `provider` is the name the node's shaping has; `domains`: instead of it, these; neither: everywhere. `source`: from this egress
    source only. `shared`: KumoMTA's own limit of a source at a provider, which sends the rest from another; else a named one.
    """

    name: str
    limit: int
    per: str
    reason: str
    ids: tuple[str, ...]
    until: datetime | None
    source: str | None = None
    provider: str | None = None
    domains: tuple[str, ...] = ()
    shared: bool = False

    @property
    def spec(self) -> str:
        return f"{self.limit}/{self.per},max_burst={max(1, self.limit // _BURST_PARTS)}"


class Unspoken(NamedTuple):
    """A restriction KumoMTA is not given, and why."""

    id: str
    scope: Mapping[str, str]
    why: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the nodes should hold and keep to."""

    suspensions: Mapping[Key, Suspension] = field(default_factory=dict)
    rates: tuple[Rate, ...] = ()
    unspoken: tuple[Unspoken, ...] = ()


class NotExactError(ValueError):
    """KumoMTA cannot match this scope, and why."""


@dataclass(frozen=True, slots=True)
class World:
    """What scopes are resolved by: the pools' addresses, the customers' streams, the providers' domains, what was seen."""

    settings: KumoMta
    providers: ProviderTable
    seen: Seen
    pools: Mapping[str, str] = field(default_factory=dict)  # ip → pool
    kinds: Mapping[tuple[str, str], str] = field(default_factory=dict)  # (customer, stream) → kind
    address: str = ""  # of the console, for links to incidents


def translate(restrictions: Iterable[Restriction], world: World, now: datetime) -> Wanted:
    """What the restrictions in force at `now` come to."""
    suspensions: dict[Key, list[Restriction]] = {}
    rates: list[Rate] = []
    unspoken: list[Unspoken] = []
    for row in restrictions:
        if row.until is not None and row.until <= now:
            continue
        try:
            if row.effect is Effect.HOLD:
                for key in keys_of(row.scope, world):
                    suspensions.setdefault(key, []).append(row)
            else:
                rates += _rates(row, world)
        except NotExactError as error:
            unspoken.append(Unspoken(row.id, row.scope, str(error)))
    merged = {key: _merged(rows, world.address) for key, rows in suspensions.items()}
    return Wanted(merged, tuple(rates), tuple(unspoken))


def keys_of(scope: Mapping[str, str], world: World) -> list[Key]:
    """The queues of a scope. Raises NotExactError for one KumoMTA cannot match."""
    if not scope:
        raise NotExactError("everything at once: KumoMTA would suspend the queues that carry its records, too")
    if "domain" in scope:
        raise NotExactError("KumoMTA's queues know no sending domain")
    if scope.keys() & {"ip", "pool"}:
        return list(_ready(scope, world))
    return [
        SchedKey(campaign, domain, tenant)
        for tenant, campaign in _criteria(scope, world)
        for domain in (provider_domains(scope["provider"], world) if "provider" in scope else (None,))
    ]


def _ready(scope: Mapping[str, str], world: World) -> Iterator[ReadyKey]:
    others = sorted(scope.keys() - {"ip", "pool", "provider"})
    if others:
        raise NotExactError(f"a ready queue holds the mail of all customers: {' and '.join(others)} cannot be separated in it")
    for queue in world.seen.queues(_addresses(scope, world), group_of(scope.get("provider"), world)):
        yield ReadyKey(queue.name, queue.source)


def _addresses(scope: Mapping[str, str], world: World) -> frozenset[str]:
    pool, ip = scope.get("pool"), scope.get("ip")
    return frozenset(
        {ip} if pool is None and ip else
        {address for address, name in world.pools.items() if name == pool and ip in (None, address)}
    )  # fmt: skip


def group_of(provider: str | None, world: World) -> str | None:
    """A provider whose ready queues carry no other's mail."""
    if provider is None or provider in world.providers.rows or provider == OTHER:
        return provider
    raise NotExactError(f"the ready queues to {provider} may hold the mail of other domains, too")


def _criteria(scope: Mapping[str, str], world: World) -> Iterator[tuple[str | None, str | None]]:
    """(tenant, campaign) of each scheduled queue meant."""
    mapping = world.settings.mapping
    scopes = [dict(scope)]
    if "kind" in scope:
        if "customer" not in scope or mapping.stream is None:
            raise NotExactError("KumoMTA's queues know no kinds of streams (mta.kumomta.mapping.stream is not set)")
        scopes = [
            {**scope, "stream": stream} for (customer, stream), kind in sorted(world.kinds.items())
            if (customer, kind) == (scope["customer"], scope["kind"]) and scope.get("stream") in (None, stream)
        ]  # fmt: skip
    for each in scopes:
        parts: dict[str, str] = {}
        for name in _QUEUE_DIMENSIONS:
            place = getattr(mapping, name)
            if name not in each:
                continue
            if place not in ("tenant", "campaign"):
                raise NotExactError(f"KumoMTA's queues do not show the {name} (mta.kumomta.mapping.{name} is {place or 'not set'})")
            if parts.setdefault(place, each[name]) != each[name]:
                raise NotExactError(f"{name}: the queue's {place} is another one's name already")
        if not parts and "provider" not in each:
            raise NotExactError("nothing of it is in the name of a queue")
        yield parts.get("tenant"), parts.get("campaign")


def provider_domains(provider: str, world: World) -> list[str]:
    """Every recipient domain of a provider that is known or was seen."""
    if provider not in world.providers.rows and provider != OTHER:
        return [provider]
    table = {name.removeprefix(".") for name, at in world.providers.domains.items() if at == provider}
    return sorted(table.union(world.seen.domains(provider)))


def _rates(row: Restriction, world: World) -> list[Rate]:
    """A slow restriction as limits of the shaping overlay. Raises NotExactError."""
    others = sorted(row.scope.keys() - {"ip", "pool", "provider"})
    if others:
        raise NotExactError(f"KumoMTA's shaping knows no {' or '.join(others)}")
    if row.rate_per_hour is None:
        raise NotExactError("it names no rate")
    nodes = 1 if world.settings.shared_throttles else max(1, len(world.settings.nodes))
    limit = row.rate_per_hour // nodes
    if limit < 1:
        raise NotExactError(f"{row.rate_per_hour} an hour is less than one message for each of {nodes} nodes, and KumoMTA knows no rate of 0")
    provider = row.scope.get("provider")
    name = world.seen.name_of(provider) if provider else None
    domains = tuple(provider_domains(provider, world)) if provider and name is None else ()
    common = Rate(f"vigie-{row.id}", limit, "h", reason_of([row], world.address), (row.id,), row.until, None, name, domains)
    if not row.scope.keys() & {"ip", "pool"}:
        return [common]
    group_of(provider, world)
    sources = sorted({source for ip in _addresses(row.scope, world) for source in world.seen.sources(ip)})
    return [
        Rate(common.name, limit, "h", common.reason, common.ids, common.until, source, name, domains) for source in sources
    ]


def _merged(rows: list[Restriction], address: str) -> Suspension:
    ends = [row.until for row in rows]
    until = None if None in ends else max(end for end in ends if end is not None)
    return Suspension(reason_of(rows, address), tuple(row.id for row in rows), until)


def reason_of(rows: list[Restriction], address: str) -> str:
    """Their texts, each once, with a link to the incident: it then stands in the MTA's own logs."""
    texts = [
        f"{row.text} ({address}/incidents/{row.incident})" if row.incident and address else row.text for row in rows
    ]
    joined = "; ".join(dict.fromkeys(" ".join(text.split()) for text in texts))
    return joined if len(joined) <= 500 else joined[:499] + "…"
