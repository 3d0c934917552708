"""Whose an IP, pool or domain is: its own customer, else that of its pool, else nobody's (shared by all, or not known).

`Owners` is held in memory for every call of a customer's key; the subqueries ask the same of the database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlmodel import Session, col, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from monitor.database.tables import Pool, SendingDomain, SendingIp


@dataclass(frozen=True, slots=True)
class Owners:
    """The customer of each IP, pool and domain that has one; what is missing is shared or unknown."""

    ips: Mapping[str, str] = field(default_factory=dict)
    pools: Mapping[str, str] = field(default_factory=dict)
    domains: Mapping[str, str] = field(default_factory=dict)
    streams: Mapping[str, str] = field(default_factory=dict)  # domain → the stream it sends

    def stream_of(self, domain: str) -> str | None:
        """The stream of a sending domain, or of the nearest above it that is in the inventory."""
        nearest = next((name for name in _above(domain) if name in self.domains), None)
        return self.streams.get(nearest) if nearest else None

    def owner(self, dimension: str, value: str) -> str | None:
        """Whose the value is (in canonical form); of a subdomain, whose the nearest domain above it is."""
        if dimension == "customer":
            return value
        if dimension == "ip":
            return self.ips.get(value)
        if dimension == "pool":
            return self.pools.get(value)
        if dimension in {"domain", "target"}:
            own = self.ips.get(value) if dimension == "target" else None
            return own or next((self.domains[name] for name in _above(value) if name in self.domains), None)
        return None

    def foreign_to(self, customer: str, about: Mapping[str, str | None]) -> str | None:
        """The first dimension of `about` that is another customer's; None where all may be this customer's."""
        for dimension, value in about.items():
            if value is not None and self.owner(dimension, value) not in {None, customer}:
                return dimension
        return None


def read_owners(session: Session) -> Owners:
    pools = {name: customer for name, customer in session.exec(select(Pool.name, Pool.customer)) if customer}
    ips = session.exec(select(SendingIp.address, SendingIp.customer, SendingIp.pool))
    domains = session.exec(select(SendingDomain.domain, SendingDomain.customer, SendingDomain.stream)).all()
    return Owners(
        {address: owner for address, customer, pool in ips if (owner := customer or pools.get(pool or ""))},
        pools,
        {domain: customer for domain, customer, _ in domains if customer},
        {domain: stream for domain, customer, stream in domains if customer and stream},
    )


def ips_of(customer: str) -> SelectOfScalar[str]:
    """The addresses of a customer, as a subquery."""
    pools = select(Pool.name).where(Pool.customer == customer)
    pooled = col(SendingIp.customer).is_(None) & col(SendingIp.pool).in_(pools)
    return select(SendingIp.address).where(or_(col(SendingIp.customer) == customer, pooled))


def domains_of(customer: str) -> SelectOfScalar[str]:
    """The sending domains of a customer, as a subquery."""
    return select(SendingDomain.domain).where(SendingDomain.customer == customer)


def _above(domain: str) -> Iterator[str]:
    """The domain and those above it, the nearest first."""
    while domain:
        yield domain
        domain = domain.partition(".")[2]
