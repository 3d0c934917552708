"""What records have shown of a platform: which recipient domains a provider has, which ready queues lead to it from which source.

KumoMTA knows domains and ready queues by their exact names, Vigie knows providers and IPs: a hold of a customer at a provider
is one suspension per domain, that of an IP one per ready queue. May be incomplete: a domain or queue is known from its first
attempt on. Bounded: of too many, those longest not seen are forgotten, and `left_out` says how many.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from collectors.delivery.outcomes import Event
from collectors.instants import EARLIEST as EPOCH
from collectors.providers import ProviderTable

MOST_DOMAINS = 5_000  # of one provider
MOST_QUEUES = 20_000
FORGOTTEN_AFTER = timedelta(days=14)
_FRESH = timedelta(hours=1)  # a time seen is moved on no oftener: it is written down now and then
_CLIENT = "@smtp_client"


@dataclass(frozen=True, slots=True)
class ReadyQueue:
    """`source->site@smtp_client`, and what is known of it."""

    name: str
    source: str
    ip: str | None
    provider: str | None  # None: it has the mail of several


class Seen:
    """Any thread may teach it and ask it; `version` rises when something is new."""

    def __init__(self) -> None:
        self.version = 0
        self._lock = threading.Lock()
        self._domains: dict[str, dict[str, datetime]] = {}
        self._queues: dict[str, ReadyQueue] = {}
        self._queues_seen: dict[str, datetime] = {}
        self._names: dict[str, str] = {}  # provider → the name it has in the node's shaping files
        self._left_out: dict[str, int] = {}

    def learn(self, events: Iterable[tuple[Event, str | None, str | None]], providers: ProviderTable, now: datetime) -> None:
        """`events`: each with its provider and the IP it was sent from, where that is ours."""
        with self._lock:
            before = dict(self._queues), self._count(), dict(self._names)
            for event, provider, ip in events:
                self._learn(event, provider, ip, providers, now)
            if before != (self._queues, self._count(), self._names):
                self.version += 1

    def _count(self) -> int:
        return sum(map(len, self._domains.values()))

    def _learn(self, event: Event, provider: str | None, ip: str | None, providers: ProviderTable, now: datetime) -> None:
        domain = event.recipient_domain
        if provider and domain and _is_domain(domain):
            self._note(self._domains.setdefault(provider, {}), domain, now)
        if event.queue is None or event.source is None or not event.queue.endswith(_CLIENT):
            return
        at_host = providers.of_mx(event.mx) if event.mx else None
        self._add(ReadyQueue(event.queue, event.source, ip, at_host or provider), now)
        if event.provider_name and provider:
            self._names[provider] = event.provider_name

    def _add(self, queue: ReadyQueue, now: datetime) -> None:
        before = self._queues.get(queue.name)
        if before is not None and before.provider != queue.provider:
            queue = replace(queue, provider=None)
        self._queues[queue.name] = queue
        self._note(self._queues_seen, queue.name, now)

    @staticmethod
    def _note(times: dict[Any, datetime], key: Any, now: datetime) -> None:
        before = times.get(key)
        if before is None or now - before > _FRESH:
            times[key] = now

    def forget(self, now: datetime) -> None:
        """Drop what was not seen for long, and what is too much."""
        with self._lock:
            for provider, domains in self._domains.items():
                self._left_out[provider] = max(0, len(domains) - MOST_DOMAINS)
            self._domains = {provider: _kept(domains, MOST_DOMAINS, now) for provider, domains in self._domains.items()}
            self._queues_seen = _kept(self._queues_seen, MOST_QUEUES, now)
            self._queues = {name: self._queues[name] for name in self._queues_seen}

    def domains(self, provider: str) -> list[str]:
        with self._lock:
            return sorted(self._domains.get(provider, ()))

    def queues(self, ips: Collection[str], provider: str | None = None) -> list[ReadyQueue]:
        """The ready queues that send from these addresses (to this provider), by name."""
        with self._lock:
            matching = [each for each in self._queues.values() if each.ip in ips and provider in (None, each.provider)]
        return sorted(matching, key=lambda each: each.name)

    def sources(self, ip: str) -> list[str]:
        """The egress sources that send from this address."""
        with self._lock:
            return sorted({each.source for each in self._queues.values() if each.ip == ip})

    def name_of(self, provider: str) -> str | None:
        """What the node's shaping files call a provider; None: no record has shown it."""
        with self._lock:
            return self._names.get(provider)

    def left_out(self) -> dict[str, int]:
        with self._lock:
            return {provider: count for provider, count in self._left_out.items() if count}

    def as_json(self) -> dict[str, Any]:
        with self._lock:
            return {
                "domains": {provider: {name: at.timestamp() for name, at in domains.items()} for provider, domains in self._domains.items()},
                "queues": [[each.name, each.source, each.ip, each.provider, self._queues_seen[each.name].timestamp()] for each in self._queues.values()],
                "names": dict(self._names),
            }

    def merge(self, written: Mapping[str, Any] | None) -> None:
        """Add what was written down, by this process before or by another."""
        if not written:
            return
        with self._lock:
            for provider, domains in written.get("domains", {}).items():
                own = self._domains.setdefault(provider, {})
                own.update({name: max(_instant(seconds), own.get(name, EPOCH)) for name, seconds in domains.items()})
            for *parts, seconds in written.get("queues", ()):
                queue = ReadyQueue(*parts)
                self._queues.setdefault(queue.name, queue)
                self._queues_seen[queue.name] = max(_instant(seconds), self._queues_seen.get(queue.name, EPOCH))
            self._names = {**written.get("names", {}), **self._names}
            self.version += 1


def _kept(times: dict[Any, datetime], most: int, now: datetime) -> dict[Any, datetime]:
    recent = [(key, at) for key, at in times.items() if now - at <= FORGOTTEN_AFTER]
    recent.sort(key=lambda pair: pair[1], reverse=True)
    return dict(recent[:most])


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _is_domain(name: str) -> bool:
    return "." in name and name.isascii() and not name.startswith("[") and all(part for part in name.split("."))
