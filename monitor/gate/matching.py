"""Which restrictions in force meet a request? Found once for each set of names asked about, and remembered with the index.

A sender asks about the same names again and again: the same stream from the same addresses to the same domains. What
was found is a property of the index and the names alone, so remembering it changes no answer. A new index begins anew.
Ends are looked at when the answer is given (`Match.first_end`): what is remembered has the restrictions that ended since, too.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from monitor.gate.index import Index, Key, Table
from monitor.gate.limits import keys_met
from monitor.gate.match import Match, made
from monitor.gate.names import OTHER
from monitor.gate.restriction import DIMENSIONS, Prepared, Reason, Values
from monitor.gate.words import StreamKind

if TYPE_CHECKING:
    from monitor.gate.request import Request

_MOST_REMEMBERED = 32_768
_MARKETING = StreamKind.MARKETING
_PROVIDER = DIMENSIONS.index("provider")


def matching(request: Request, index: Index, now: datetime) -> Match:
    """What of the index meets the request now."""
    key = (
        request.customer, request.stream, request.campaign, request.ip, request.pool, request.domain, request.provider,
        request.recipient_domain,
    )  # fmt: skip
    match = index.remembered.get(key)
    if match is None:
        match = _find(request, index)
        if len(index.remembered) >= _MOST_REMEMBERED:
            index.remembered.clear()
        index.remembered[key] = match
    if match.first_end <= now:
        match = match.at(now)
    return match.past(request) if match.probe and request.message is not None else match


def values_of(request: Request, index: Index) -> tuple[Values, bool]:
    """The values of the dimensions that are meant, and whether the provider is a domain of the many others."""
    customer, stream, ip = request.customer, request.stream, request.ip
    pool = request.pool or (index.pools.get(ip) if ip else None)
    provider, of_others = _provider(request, index)
    # a stream the inventory does not know is taken for marketing: the careful side
    kind = index.kinds.get((customer, stream), _MARKETING) if stream else _MARKETING
    return (customer, stream, request.campaign, ip, pool, request.domain, provider, kind), of_others


def _find(request: Request, index: Index) -> Match:
    values, of_others = values_of(request, index)
    rows = _meeting(values, index.tables)
    if of_others:
        rows += _meeting((*values[:_PROVIDER], OTHER, *values[_PROVIDER + 1 :]), index.provider_tables)
    partial = _meeting(values, index.partial) if values[_PROVIDER] is None and index.partial else ()
    pool = values[4]
    limits, limits_aside = keys_met(values, index.allowances, of_others=of_others) if index.allowances else ((), ())
    if not rows and not partial and not limits and not limits_aside:
        return index.unmet.setdefault(pool, Match(pool))  # one for most of what is asked
    aside = tuple((row.ends, _only_to_its_provider(row.reason)) for row in partial)
    match = made(pool, tuple(sorted(rows, key=lambda row: not row.hold)), aside)
    match.allowances, match.allowances_aside = limits, limits_aside
    return match


def _provider(request: Request, index: Index) -> tuple[str | None, bool]:
    """The provider that is meant, and whether it is a domain of the many others."""
    name = request.provider
    if name is not None:
        known = index.providers.named(name)
    elif request.recipient_domain is not None:
        name = request.recipient_domain
        known = index.providers.of_domain(name)
    else:
        return None, False
    return (name, True) if known is None else (known, False)


def _meeting(values: Values, tables: tuple[tuple[Key, Table], ...]) -> list[Prepared]:
    rows: list[Prepared] = []
    for key_of, table in tables:
        meeting = table.get(key_of(values))
        if meeting is not None:
            rows += meeting
    return rows


def _only_to_its_provider(reason: Reason) -> Reason:
    return replace(reason, text=f"only to {reason.scope['provider']}: {reason.text}")
