"""What does not hang together in an inventory: names that lead nowhere, things owned twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from monitor.config.validation import did_you_mean
from monitor.inventory.items import KINDS, Domain, Inventory
from monitor.inventory.names import (
    reserved_as,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """An item that does not fit the others: what is wrong with which field of it."""

    kind: str
    key: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{KINDS[self.kind].word} {self.key}: {self.field}: {self.message}"


# kind, field → the kind it refers to
_REFERENCES = (
    ("streams", "customer", "customers"),
    ("pools", "customer", "customers"),
    ("ips", "customer", "customers"),
    ("ips", "pool", "pools"),
    ("domains", "customer", "customers"),
)


def faults(inventory: Inventory) -> Iterator[Fault]:
    """Every item that refers to what is not there; kinds that are not stated are not judged."""
    for kind, name, target in _REFERENCES:
        known = inventory.of(target)
        for key, item in inventory.of(kind).items():
            referred = getattr(item, name)
            if target in inventory.stated and referred is not None and referred not in known:
                message = f"no {KINDS[target].word} '{referred}' — {did_you_mean(referred, known)}"
                yield Fault(kind, key, name, message)
    yield from _header_faults(inventory)
    yield from _provider_faults(inventory)
    for domain in inventory.domains.values():
        yield from _stream_faults(inventory, domain)
    for ip in inventory.ips.values():
        pool = inventory.pools.get(ip.pool or "")
        if pool is not None and pool.customer not in {None, ip.customer}:
            message = f"its pool {pool.name} is customer {pool.customer}'s"
            yield Fault("ips", ip.key, "customer", f"{message} — name that customer, or another pool")


def _header_faults(inventory: Inventory) -> Iterator[Fault]:
    first: dict[tuple[str, str], str] = {}
    for key, customer in inventory.customers.items():
        for header in customer.id_headers.items():
            other = first.setdefault(header, key)
            if other != key:
                text = f"{header[0]}: {header[1]} is customer {other}'s too — it must distinguish them"
                yield Fault("customers", key, "id_headers", text)


def _provider_faults(inventory: Inventory) -> Iterator[Fault]:
    first: dict[tuple[str, str], str] = {}
    for key, provider in inventory.providers.items():
        for name in ("domains", "mx"):
            for value in getattr(provider, name):
                other = first.setdefault((name, value), key)
                if other != key:
                    yield Fault("providers", key, name, f"{value} is provider {other}'s too — name it at one of them")


def _stream_faults(inventory: Inventory, domain: Domain) -> Iterator[Fault]:
    if domain.stream is None:
        return
    if domain.customer is None:
        yield Fault("domains", domain.key, "stream", "a stream is one customer's — name the customer too")
    elif "streams" in inventory.stated and f"{domain.customer}/{domain.stream}" not in inventory.streams:
        known = [stream.name for stream in inventory.streams.values() if stream.customer == domain.customer]
        message = f"customer {domain.customer} has no stream '{domain.stream}'"
        yield Fault("domains", domain.key, "stream", f"{message} — {did_you_mean(domain.stream, known)}")


def notes(inventory: Inventory) -> list[str]:
    """What is allowed and yet worth a second look."""
    seen: dict[str, list[str]] = {}
    for address in inventory.ips:
        reason = reserved_as(address)
        if reason is not None:
            seen.setdefault(reason, []).append(address)
    return [f"{len(items)} of {len(inventory.ips)} IPs are {reason} addresses (first {items[0]}):"
            " no mailbox provider or DNSBL sees them — write those that mail goes out from" for reason, items in seen.items()]
