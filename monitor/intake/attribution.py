"""Whose mail was it? Identifiers in a report → customer, stream, campaign, recipient. Pure but for our records.

The surest identifier wins and is named (`how`); a weaker one never overrules it:

1. `token`             our own signed token: in the return path, X-Vigie-Token or an id (monitor.sender.token)
2. `cfbl_feedback_id`  CFBL-Feedback-ID (RFC 9477; white space removed) that names a customer of ours
3. `message_id`        a Message-ID our own MTAs recorded, for one customer
4. `feedback_id`       Feedback-ID, such as campaign:stream:customer:sender
5. `header`            a header that the inventory says only one customer's mails carry (`id_headers`)
6. `id`                a customer's name elsewhere, as in a return path `bounce+customer.stream@`
7. `domain`            a sending domain that belongs to one customer
8. `recipient`         a recipient, reported in clear, to whom lately only one customer has sent
9. `ip`                a dedicated sending IP

What the report says (recipient, IP, domain) and what our token or records say of the recipient
(`recipient_ref`, `recipient_hash`) stand apart. An IP or domain is kept only where it is ours: a stranger's
report must not name new ones. Only a token shows by itself that the mail was ours; any other identifier is what a report *says*, and
may be forged. A token that is garbled, blotted out, forged or out of date attributes nothing and is no error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from collectors.contract import Attribution, Identifiers
from collectors.providers import ProviderTable, shipped
from monitor.inventory.items import Inventory
from monitor.inventory.providers import provider_table
from monitor.sender.token import HEADER, Keys, read_token

_PIECES = re.compile(r"[:;,.+=/\s-]+")
_STREAM_PIECES = re.compile(r"[:;,+=/\s]+")  # names of streams and customers may hold - and .


class Records(Protocol):
    """What our own MTAs recorded; read only where no surer identifier did."""

    def of_message(self, message_id: str) -> Attribution | None:
        """Whose the message was; None where it is unknown or several customers' records name it."""

    def of_recipient(self, address: str) -> Attribution | None:
        """The one customer who has sent to this address lately; None where there is none or more than one."""

    def campaigns(self, customer: str) -> Iterable[str]: ...


class NoRecords:
    def of_message(self, _: str) -> None: ...

    def of_recipient(self, _: str) -> None: ...

    def campaigns(self, _: str) -> Iterable[str]:
        return ()


@dataclass(frozen=True, slots=True)
class Directory:
    """What the inventory knows, turned round for look-ups, and the records to ask."""

    streams: Mapping[str, frozenset[str]] = field(default_factory=dict)  # customer → names
    ips: Mapping[str, str | None] = field(default_factory=dict)
    domains: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    headers: Mapping[tuple[str, str], str] = field(default_factory=dict)  # name, value → customer
    keys: Keys = field(default_factory=dict)
    records: Records = field(default_factory=NoRecords)
    providers: ProviderTable = field(default_factory=shipped)

    def attribute(self, identifiers: Identifiers) -> Attribution:
        """The best attribution the identifiers allow; `how` is None when none of them is ours."""
        reported = Attribution(
            recipient=identifiers.recipient,
            ip=identifiers.source_ip if identifiers.source_ip in self.ips else None,
            domain=self.own_domain(identifiers.domain),
            provider=identifiers.provider or self.providers.of_domain((identifiers.recipient or "").rpartition("@")[2]),
        )
        for how, find in BY_IDENTIFIER.items():
            ours = find(self, identifiers)
            if ours is not None:
                return replace(
                    reported, customer=ours.customer, stream=ours.stream, campaign=ours.campaign, how=how,
                    recipient_ref=ours.recipient_ref, recipient_hash=ours.recipient_hash,
                )
        return reported

    def own_domain(self, domain: str | None) -> str | None:
        """The domain, or the nearest one above it, that is a sending domain of ours."""
        labels = (domain or "").lower().strip(".").split(".")
        tails = (".".join(labels[i:]) for i in range(len(labels) - 1))
        return next((tail for tail in tails if tail in self.domains), None)

    def named(self, texts: Iterable[str]) -> Attribution | None:
        """The customer, and better still the stream, that stands among the pieces of a text."""
        customer_only: str | None = None
        for text in texts:
            for pattern in (_STREAM_PIECES, _PIECES):
                pieces = [piece for piece in pattern.split(text) if piece]
                for customer in (piece for piece in pieces if piece in self.streams):
                    stream = next((piece for piece in pieces if piece in self.streams[customer]), None)
                    if stream is not None:
                        others = [piece for piece in pieces if piece not in {customer, stream}]
                        campaign = others[0] if others and text.count(":") >= 2 else None
                        return Attribution(customer=customer, stream=stream, campaign=campaign)
                    customer_only = customer_only or customer
        return Attribution(customer=customer_only) if customer_only else None


def _by_token(known: Directory, identifiers: Identifiers) -> Attribution | None:
    for text in (_header(identifiers, HEADER), _header(identifiers, "CFBL-Feedback-ID"), *identifiers.tokens):
        token = read_token(known.keys, text)
        if token is not None:
            customer = token.customer
            return Attribution(
                customer=customer,
                stream=token.stream_among(known.streams.get(customer, ())),
                campaign=token.campaign_among(known.records.campaigns(customer)) if token.campaign else None,
                recipient_ref=token.recipient.hex() if token.recipient else None,
            )
    return None


def _by_cfbl_id(known: Directory, identifiers: Identifiers) -> Attribution | None:
    return known.named([_header(identifiers, "CFBL-Feedback-ID")])


def _by_message_id(known: Directory, identifiers: Identifiers) -> Attribution | None:
    return known.records.of_message(identifiers.message_id) if identifiers.message_id else None


def _by_feedback_id(known: Directory, identifiers: Identifiers) -> Attribution | None:
    return known.named([_header(identifiers, "Feedback-ID")])


def _by_header(known: Directory, identifiers: Identifiers) -> Attribution | None:
    stated = identifiers.headers
    if not stated or not known.headers:
        return None
    headers = ((name, stated[name].strip()) for name in dict.fromkeys(name for name, _ in known.headers) if name in stated)
    customer = next((known.headers[header] for header in headers if header in known.headers), None)
    return Attribution(customer=customer) if customer else None


def _by_id(known: Directory, identifiers: Identifiers) -> Attribution | None:
    return known.named(identifiers.tokens)


def _by_domain(known: Directory, identifiers: Identifiers) -> Attribution | None:
    customer, stream = known.domains.get(known.own_domain(identifiers.domain) or "", (None, None))
    return Attribution(customer=customer, stream=stream) if customer else None


def _by_recipient(known: Directory, identifiers: Identifiers) -> Attribution | None:
    return known.records.of_recipient(identifiers.recipient) if identifiers.recipient else None


def _by_ip(known: Directory, identifiers: Identifiers) -> Attribution | None:
    """A shared IP is ours and yet nobody's: the last identifier, and then one without a customer."""
    ip = identifiers.source_ip or ""
    return Attribution(customer=known.ips[ip]) if ip in known.ips else None


# the surest first
BY_IDENTIFIER: Mapping[str, Callable[[Directory, Identifiers], Attribution | None]] = {
    "token": _by_token,
    "cfbl_feedback_id": _by_cfbl_id,
    "message_id": _by_message_id,
    "feedback_id": _by_feedback_id,
    "header": _by_header,
    "id": _by_id,
    "domain": _by_domain,
    "recipient": _by_recipient,
    "ip": _by_ip,
}


def _header(identifiers: Identifiers, name: str) -> str:
    """A header of the reported mail without any white space; empty where it has none."""
    return "".join((identifiers.headers or {}).get(name.lower(), "").split())


def directory(inventory: Inventory, keys: Keys | None = None, records: Records | None = None) -> Directory:
    """The look-ups of an inventory; `keys` are those of the customers' tokens."""
    streams: dict[str, set[str]] = {customer: set() for customer in inventory.customers}
    for stream in inventory.streams.values():
        streams.setdefault(stream.customer, set()).add(stream.name)
    return Directory(
        {customer: frozenset(names) for customer, names in streams.items()},
        {ip.address: ip.customer for ip in inventory.ips.values()},
        {domain.domain: (domain.customer, domain.stream) for domain in inventory.domains.values()},
        {header: key for key, customer in inventory.customers.items() for header in customer.id_headers.items()},
        keys or {},
        records or NoRecords(),
        provider_table(inventory.providers.values()),
    )
