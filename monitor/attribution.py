"""Whose mail was it? Clues of a report → customer, stream, campaign. Pure.

The surest clue wins and is named (`how`); a weaker one never overrules it:

1. `id`      an identifier of ours in the report: a token that names a customer and one of its streams, as in
             `Feedback-ID: campaign:stream:customer:sender` or a return path `bounce+customer.stream@`
2. `domain`  a sending domain that belongs to one customer
3. `ip`      a dedicated sending IP

An IP or domain is kept only where it is ours: a stranger's report must not name new ones. A clue is what a
report *says*; that nobody forged it is not shown here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from collectors.contract import Attribution, Clues
from collectors.providers import provider_of_domain
from monitor.inventory import Inventory

_PIECES = re.compile(r"[:;,.+=/\s-]+")
_STREAM_PIECES = re.compile(r"[:;,+=/\s]+")  # names of streams and customers may hold - and .


@dataclass(frozen=True, slots=True)
class Directory:
    """What the inventory knows, turned round for look-ups."""

    streams: Mapping[str, frozenset[str]] = field(default_factory=dict)  # customer → names
    ips: Mapping[str, str | None] = field(default_factory=dict)
    domains: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)

    def attribute(self, clues: Clues) -> Attribution:
        """The best attribution the clues allow; `how` is None when none of them is ours."""
        ip = clues.source_ip if clues.source_ip in self.ips else None
        domain = self._own_domain(clues.domain)
        provider = clues.provider or provider_of_domain((clues.recipient or "").rpartition("@")[2])
        base = Attribution(recipient=clues.recipient, ip=ip, domain=domain, provider=provider)
        named = self._named(clues.tokens)
        if named is not None:
            customer, stream, campaign = named
            return replace(base, customer=customer, stream=stream, campaign=campaign, how="id")
        if domain is not None and self.domains[domain][0] is not None:
            customer_of, stream_of = self.domains[domain]
            return replace(base, customer=customer_of, stream=stream_of, how="domain")
        if ip is not None:
            return replace(base, customer=self.ips[ip], how="ip")
        return base

    def _own_domain(self, domain: str | None) -> str | None:
        """The domain, or the nearest one above it, that is a sending domain of ours."""
        labels = (domain or "").lower().strip(".").split(".")
        tails = (".".join(labels[i:]) for i in range(len(labels) - 1))
        return next((tail for tail in tails if tail in self.domains), None)

    def _named(self, tokens: Iterable[str]) -> tuple[str, str | None, str | None] | None:
        customer_only: str | None = None
        for token in tokens:
            for pattern in (_STREAM_PIECES, _PIECES):
                pieces = [piece for piece in pattern.split(token) if piece]
                for customer in (piece for piece in pieces if piece in self.streams):
                    stream = next((piece for piece in pieces if piece in self.streams[customer]), None)
                    if stream is not None:
                        others = [piece for piece in pieces if piece not in {customer, stream}]
                        return customer, stream, others[0] if others and token.count(":") >= 2 else None
                    customer_only = customer_only or customer
        return (customer_only, None, None) if customer_only else None


def directory(inventory: Inventory) -> Directory:
    """The look-ups of an inventory."""
    streams: dict[str, set[str]] = {customer: set() for customer in inventory.customers}
    for stream in inventory.streams.values():
        streams.setdefault(stream.customer, set()).add(stream.name)
    return Directory(
        {customer: frozenset(names) for customer, names in streams.items()},
        {ip.address: ip.customer for ip in inventory.ips.values()},
        {domain.domain: (domain.customer, domain.stream) for domain in inventory.domains.values()},
    )
