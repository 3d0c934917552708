"""Whose mail was it? Clues of a report → customer, stream, campaign, recipient. Pure but for what it is told.

The surest clue wins and is named (`how`); a weaker one never overrules it:

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
report must not name new ones. Only a token shows by itself that the mail was ours; any other clue is what a report *says*, and
may be forged. A token that is garbled, blotted out, forged or out of date attributes nothing and is no error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from collectors.contract import Attribution, Clues
from collectors.providers import provider_of_domain
from monitor.inventory.items import Inventory
from monitor.sender.token import HEADER, Keys, read_token

_PIECES = re.compile(r"[:;,.+=/\s-]+")
_STREAM_PIECES = re.compile(r"[:;,+=/\s]+")  # names of streams and customers may hold - and .


class Records(Protocol):
    """What our own MTAs recorded; asked only where no surer clue was found."""

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

    def attribute(self, clues: Clues) -> Attribution:
        """The best attribution the clues allow; `how` is None when none of them is ours."""
        reported = Attribution(
            recipient=clues.recipient,
            ip=clues.source_ip if clues.source_ip in self.ips else None,
            domain=self.own_domain(clues.domain),
            provider=clues.provider or provider_of_domain((clues.recipient or "").rpartition("@")[2]),
        )
        for how, find in CLUES.items():
            found = find(self, clues)
            if found is not None:
                return replace(
                    reported, customer=found.customer, stream=found.stream, campaign=found.campaign, how=how,
                    recipient_ref=found.recipient_ref, recipient_hash=found.recipient_hash,
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


def _by_token(known: Directory, clues: Clues) -> Attribution | None:
    for text in (_header(clues, HEADER), _header(clues, "CFBL-Feedback-ID"), *clues.tokens):
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


def _by_cfbl_id(known: Directory, clues: Clues) -> Attribution | None:
    return known.named([_header(clues, "CFBL-Feedback-ID")])


def _by_message_id(known: Directory, clues: Clues) -> Attribution | None:
    return known.records.of_message(clues.message_id) if clues.message_id else None


def _by_feedback_id(known: Directory, clues: Clues) -> Attribution | None:
    return known.named([_header(clues, "Feedback-ID")])


def _by_header(known: Directory, clues: Clues) -> Attribution | None:
    said = ((name, value.strip()) for name, value in (clues.headers or {}).items())
    customer = next((known.headers[one] for one in said if one in known.headers), None)
    return Attribution(customer=customer) if customer else None


def _by_id(known: Directory, clues: Clues) -> Attribution | None:
    return known.named(clues.tokens)


def _by_domain(known: Directory, clues: Clues) -> Attribution | None:
    customer, stream = known.domains.get(known.own_domain(clues.domain) or "", (None, None))
    return Attribution(customer=customer, stream=stream) if customer else None


def _by_recipient(known: Directory, clues: Clues) -> Attribution | None:
    return known.records.of_recipient(clues.recipient) if clues.recipient else None


def _by_ip(known: Directory, clues: Clues) -> Attribution | None:
    """A shared IP is ours and yet nobody's: the last clue, and then one without a customer."""
    ip = clues.source_ip or ""
    return Attribution(customer=known.ips[ip]) if ip in known.ips else None


# the surest first
CLUES: Mapping[str, Callable[[Directory, Clues], Attribution | None]] = {
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


def _header(clues: Clues, name: str) -> str:
    """A header of the reported mail without any white space; empty where it has none."""
    return "".join((clues.headers or {}).get(name.lower(), "").split())


def directory(inventory: Inventory, keys: Keys | None = None, records: Records | None = None) -> Directory:
    """The look-ups of an inventory; `keys` are those of the customers' tokens."""
    streams: dict[str, set[str]] = {customer: set() for customer in inventory.customers}
    for stream in inventory.streams.values():
        streams.setdefault(stream.customer, set()).add(stream.name)
    return Directory(
        {customer: frozenset(names) for customer, names in streams.items()},
        {ip.address: ip.customer for ip in inventory.ips.values()},
        {domain.domain: (domain.customer, domain.stream) for domain in inventory.domains.values()},
        {said: key for key, customer in inventory.customers.items() for said in customer.id_headers.items()},
        keys or {},
        records or NoRecords(),
    )
