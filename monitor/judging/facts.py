"""What the rules are asked about: rows of the store as the pure shapes of `monitor.rules.verdict`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from monitor.records import Incident, Listing, SendingDomain, SendingIp, Suspension
from monitor.rules.model import ComplaintRateRule
from monitor.rules.verdict import Group, ListingFact, RateFacts
from monitor.store import Store

LISTING_STALE_AFTER = timedelta(hours=26)  # measures.MEASURES["listing"].max_age
_MEASURES = ("delivered", "complaint")


def rate_facts(
    store: Store, rule: ComplaintRateRule, now: datetime, stale: str | None, expected: list[Group]
) -> list[RateFacts]:
    """Counts per group of the rule's `by` over its window, plus the `expected` groups that counted nothing.

    Where one of the rule's brakes was lifted inside the window, the group is counted from then on: it was
    judged for what came before, and is not judged for it twice.
    """
    since, until = now - rule.window, now + timedelta(microseconds=1)
    restarts = _restarts(store, rule.id, since)
    found: dict[Group, RateFacts] = {}
    for values, counts in store.window_counts(_MEASURES, rule.by, since, until).items():
        group: Group = tuple((str(name), value) for name, value in zip(rule.by, values, strict=True) if value is not None)
        found[group] = _facts(group, since, counts, now, stale)
    for group in expected:
        found.setdefault(group, _facts(group, since, {}, now, stale))
    for group, restart in restarts.items():
        if group in found:
            counted = store.window_counts(_MEASURES, rule.by, restart, until, where=dict(group))
            exact = {k: v for k, v in counted.items() if tuple(x for x in k if x) == tuple(v for _, v in group)}
            found[group] = _facts(group, restart, next(iter(exact.values()), {}), now, stale)
    return list(found.values())


def _facts(
    group: Group, since: datetime, counts: Mapping[str, float], now: datetime, stale: str | None
) -> RateFacts:
    return RateFacts(group, since, counts.get("delivered", 0), counts.get("complaint", 0), now, stale)


def _restarts(store: Store, rule: str, since: datetime) -> dict[Group, datetime]:
    query = (
        select(Incident.subject, Suspension.lifted_at)
        .join(Suspension, col(Suspension.incident_id) == Incident.id)
        .where(col(Suspension.rule) == rule, col(Suspension.lifted_at) > since)
    )
    restarts: dict[Group, datetime] = {}
    with store.reading_session() as session:
        for subject, lifted_at in session.exec(query):
            group = tuple(subject.items())
            if lifted_at is not None and lifted_at > restarts.get(group, since):
                restarts[group] = lifted_at
    return restarts


def listing_facts(session: Session, now: datetime) -> list[ListingFact]:
    """Every open interval of a target that is still in the inventory."""
    rows = session.exec(select(Listing).where(col(Listing.cleared_at).is_(None))).all()
    targets = {row.target for row in rows}
    ips = {ip.address: ip for ip in session.exec(select(SendingIp).where(col(SendingIp.address).in_(targets)))}
    domains = {
        domain.domain: domain
        for domain in session.exec(select(SendingDomain).where(col(SendingDomain.domain).in_(targets)))
    }
    return [
        _listing_fact(row, ips.get(row.target), domains.get(row.target), now)
        for row in rows
        if row.target in ips or row.target in domains
    ]


def _listing_fact(
    row: Listing, ip: SendingIp | None, domain: SendingDomain | None, now: datetime
) -> ListingFact:
    blind = row.unknown_reason
    if blind is None and now - row.asked_at > LISTING_STALE_AFTER:
        blind = "stale"
    return ListingFact(
        target=row.target, is_ip=ip is not None, dnsbl=row.dnsbl, phase=row.phase, baseline=row.baseline,
        codes=tuple(row.codes), first_seen_at=row.first_seen_at, confirmed_at=row.confirmed_at,
        detail=row.detail, pool=ip.pool if ip else None,
        customer=ip.customer if ip else domain.customer if domain else None, unknown_reason=blind,
    )
