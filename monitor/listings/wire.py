"""How listings are printed, and the answers and lists of `vigie dnsbl`."""

from __future__ import annotations

from datetime import datetime

from collectors.details import ListAnswer, ListKind, ListSeverity
from collectors.dnsbl.catalogue import ListStatus
from collectors.dnsbl.decode import Word
from monitor.database.tables import Listing as ListingRow
from monitor.rules.lists import KnownLists, Phase
from monitor.wire import Wire


class ListingDetail(Wire):
    """What the list said of the target (`severity`, `weight`: of the codes it answered with), and what the list is."""

    name: str
    operator: str | None
    kind: ListKind
    meanings: tuple[str, ...]
    categories: tuple[str, ...]
    undocumented: tuple[str, ...]
    severity: ListSeverity
    weight: float
    policy: bool
    finding: bool
    text: str | None
    delist_url: str | None
    sells_removal: bool
    collateral: bool
    included_in: str | None
    isps: tuple[str, ...]


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
    detail: ListingDetail

    @classmethod
    def of(cls, row: ListingRow, lists: KnownLists) -> Listing:
        """A row, with what is known of its list."""
        known, answer = lists.of(row.dnsbl), ListAnswer.decode(row.detail)
        detail = ListingDetail(
            name=known.title, operator=known.operator, kind=known.kind, delist_url=known.delist_url(row.target),
            sells_removal=known.sells_removal, collateral=known.collateral, included_in=known.included_in, isps=known.isps,
            meanings=answer.meanings, categories=answer.categories, undocumented=answer.undocumented,
            severity=answer.severity, weight=answer.weight, policy=answer.policy, finding=answer.finding, text=answer.text,
        )
        return cls.model_validate({**row.model_dump(), "detail": detail})


class DnsblAnswer(Wire):
    """One target asked of one list (`queried`: in the form the list was asked). `reason` only where the verdict is unknown."""

    target: str
    list: str
    zone: str
    verdict: Word
    reason: str | None
    codes: tuple[str, ...]
    meanings: tuple[str, ...]
    severity: ListSeverity | None
    text: str | None
    delist_url: str | None
    ttl_seconds: int | None
    elapsed_ms: float
    queried: str
    kind: ListKind
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
    kind: ListKind
    targets: tuple[str, ...]
    status: ListStatus
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
