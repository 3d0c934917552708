"""Whose an IP, pool or domain is: its own customer, else that of its pool, else nobody's (shared)."""

from __future__ import annotations

from sqlmodel import or_, select
from sqlmodel.sql.expression import SelectOfScalar

from monitor.database.tables import Pool, SendingDomain, SendingIp


def ips_of(customer: str) -> SelectOfScalar[str]:
    """The addresses of a customer, as a subquery."""
    pools = select(Pool.name).where(Pool.customer == customer)
    pooled = SendingIp.customer.is_(None) & SendingIp.pool.in_(pools)  # type: ignore[union-attr]  # a column
    return select(SendingIp.address).where(or_(SendingIp.customer == customer, pooled))


def domains_of(customer: str) -> SelectOfScalar[str]:
    """The sending domains of a customer, as a subquery."""
    return select(SendingDomain.domain).where(SendingDomain.customer == customer)
