"""How listings are printed, and the answers and lists of `vigie dnsbl`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from monitor.listings.intervals import Phase
from monitor.wire import Wire


class Listing(Wire):
    """One interval of an IP or domain on one list."""

    id: int
    target: str
    dnsbl: str
    phase: Phase
    baseline: bool
    codes: list[str]
    first_seen_at: datetime
    last_seen_at: datetime
    confirmed_at: datetime | None
    cleared_at: datetime | None
    ended_reason: str | None
    checked_at: datetime
    unknown_reason: str | None
    unknown_since: datetime | None
    detail: dict[str, Any]


class DnsblAnswer(Wire):
    """One target asked of one list (`queried`: in the form the list was asked). `reason` only where the verdict is unknown."""

    target: str
    list: str
    zone: str
    verdict: str
    reason: str | None
    codes: tuple[str, ...]
    meanings: tuple[str, ...]
    severity: str | None
    text: str | None
    delist_url: str | None
    ttl_seconds: int | None
    elapsed_ms: float
    queried: str
    kind: str
    policy: bool
    score: float | None
    weight: float | None
    undocumented: tuple[str, ...]
    included_in: str | None
    why: str | None


class CanaryHealth(Wire):
    healthy: bool
    reason: str | None
    why: str | None


class DnsblList(Wire):
    """A list of the catalogue. `canary`: how it stands at each resolver asked; `test_entries`: published | assumed | none;
    `free_targets`: about more it is asked only where it is named.
    """

    id: str
    zone: str
    name: str
    operator: str | None
    kind: str
    targets: tuple[str, ...]
    status: str
    default_enabled: bool
    key: str | None
    daily_queries: int | None
    max_qps: float | None
    weight: float | None
    terms: str | None
    free_targets: int | None
    test_entries: str
    dead: str | None
    canary: dict[str, CanaryHealth]
