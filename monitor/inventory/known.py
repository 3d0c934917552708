"""Which names does the inventory know, and which was meant? The one place that says a name is unknown.

A part of the inventory that is empty knows no names and refuses none: whoever keeps no list of customers may name any. What
the inventory does not list (campaigns, rules) is never unknown here. A subdomain of a sending domain is known, and any
domain is a provider of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlmodel import Session, select

from collectors.dimensions import BY_NAME
from collectors.providers import shipped
from monitor.config.validation import did_you_mean
from monitor.database.tables import (
    Customer,
    MailboxProvider,
    Pool,
    ReportMailbox,
    Seed,
    SendingDomain,
    SendingIp,
)
from monitor.inventory.items import Inventory
from monitor.inventory.rows import streams_of_customers

_MANY = 100_000  # names among which none is looked for that is like another: it takes too long


@dataclass(frozen=True, slots=True)
class KnownNames:
    """The names of each part of the inventory, and the streams of each customer."""

    parts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    streams: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def unknown(self, about: Mapping[str, str | None], *, suggest: bool = True) -> list[str]:
        """What is wrong with each name in `about` (by dimension, in canonical form) that the inventory does not know.

        Without `suggest` no other name is given away.
        """
        return [
            fault for dimension, value in about.items() if value is not None
            if (fault := self._fault(dimension, value, about.get("customer"), suggest=suggest)) is not None
        ]  # fmt: skip

    def as_seen_by(self, customer: str | None) -> KnownNames:
        """What a key of this customer may learn from a refusal: its own streams (None: a key of the whole platform)."""
        return self if customer is None else KnownNames({}, {customer: self.streams.get(customer, frozenset())})

    def check(self, about: Mapping[str, str | None]) -> None:
        """Raises ValueError naming every unknown name."""
        if faults := self.unknown(about):
            raise ValueError("; ".join(faults))

    def has(self, dimension: str, value: str) -> bool:
        """Whether the inventory lists it, or of a domain one above it."""
        row = BY_NAME.get(dimension)
        known = self.parts.get(row.owner, frozenset()) if row and row.owner else frozenset[str]()
        return value in known or (dimension == "domain" and any(above in known for above in _above(value)))

    def _fault(self, dimension: str, value: str, customer: str | None, *, suggest: bool) -> str | None:
        row = BY_NAME.get(dimension)
        part = row.owner if row else None
        if part is None:
            return None
        if part == "streams":
            known, whose = self.streams.get(customer or "", frozenset()), f"customer {customer} has no stream {value}"
            if customer is None or customer not in self.streams:
                return None  # of nobody, or of an unknown customer, which is said already
        else:
            known, whose = self.parts.get(part, frozenset()), f"the inventory has no {dimension} {value}"
        if not known or value in known or _stands_for_itself(dimension, value, known):
            return None
        meant = f" — {did_you_mean(value, known)}" if suggest and len(known) <= _MANY else ""
        return f"{dimension}: {whose}{meant}"


def _stands_for_itself(dimension: str, value: str, known: frozenset[str]) -> bool:
    if dimension == "provider":
        return "." in value
    return dimension == "domain" and any(above in known for above in _above(value))


def _above(domain: str) -> Iterable[str]:
    while "." in domain:
        domain = domain.partition(".")[2]
        yield domain


def read_names(session: Session) -> KnownNames:
    """Those stored."""
    columns = {
        "customers": Customer.id, "pools": Pool.name, "ips": SendingIp.address, "domains": SendingDomain.domain,
        "seeds": Seed.address, "mailboxes": ReportMailbox.name, "providers": MailboxProvider.id,
    }
    parts = {part: frozenset(session.exec(select(column))) for part, column in columns.items()}
    return KnownNames(_with_shipped(parts), streams_of_customers(session))


def names_of(inventory: Inventory) -> KnownNames:
    """Those of an inventory as it is written, not stored yet."""
    parts = {part: frozenset(str(key) for key in inventory.of(part)) for part in ("customers", "pools", "mailboxes", "providers")}
    return KnownNames(_with_shipped(parts))


def _with_shipped(parts: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    own = {provider.lower() for provider in parts["providers"]}
    return {**parts, "providers": frozenset({*own, *shipped().rows, "other"})}
