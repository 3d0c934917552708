"""May I send? Request + restrictions in force + now → send, slow or hold, with every reason. Pure.

hold beats slow; of several slows the lowest rate counts. A restriction past its `until` no longer counts,
also in an index that was not rebuilt since.

A request that names neither provider nor recipient domain asks about all of a customer's mail. A restriction on
one provider must not stop the rest, and must not be passed over in silence either: it does not decide, but
stands among the reasons with its scope, so that the sender sees that it has to ask for each provider.

A recipient domain of no provider we know is its own provider, and also one of the many called `other`:
facts about small domains are counted under that name, so a restriction drawn from them must find them again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from monitor.gate.index import DIMENSIONS, Index, Key, Prepared, Reason, Table, Values
from monitor.gate.names import OTHER
from monitor.gate.request import Request
from monitor.gate.words import Decided, ReasonKind, StreamKind

HOLDS_FOR = timedelta(minutes=15)  # an answer is good for this long at most
STALE_AFTER = timedelta(minutes=2)  # the index is confirmed every second or so; this old, the database is away
SOONEST_RETRY_SECONDS, LATEST_RETRY_SECONDS, RETRY_SECONDS = 30, 900, 600
MOST_REASONS = 20
_SEND, _SLOW, _HOLD, _MARKETING = Decided.SEND, Decided.SLOW, Decided.HOLD, StreamKind.MARKETING
_PROVIDER = DIMENSIONS.index("provider")


@dataclass(slots=True)  # not frozen: setting eight fields of a frozen one takes a sixth of the decision
class Decision:
    """The answer; the wire form is these fields."""

    decision: Decided
    reasons: tuple[Reason, ...]
    retry_after_seconds: int | None
    rate_per_hour: int | None
    allowance_left: int | None
    pool: str | None
    version: int
    valid_until: datetime


def decide(request: Request, index: Index, now: datetime) -> Decision:
    """One decision. Touches nothing but its arguments."""
    customer, stream = request.customer, request.stream
    ip = request.ip
    pool = request.pool or (index.pools.get(ip) if ip else None)
    provider, of_others = _provider(request, index)
    # a stream the inventory does not know is taken for marketing: the careful side
    kind = index.kinds.get((customer, stream), _MARKETING) if stream else _MARKETING
    values = (customer, stream, request.campaign, ip, pool, request.domain, provider, kind)

    restrictions = _matching(values, index.tables)
    if of_others:
        restrictions += _matching((*values[:_PROVIDER], OTHER, *values[_PROVIDER + 1 :]), index.provider_tables)
    aside = _on_some_provider(values, index, now) if provider is None and index.partial else ()
    if now - index.built_at > STALE_AFTER:
        aside = (_stale(index), *aside)
    applying = [row for row in restrictions if row.ends > now] if restrictions else restrictions
    if not applying:
        return Decision(_SEND, aside, None, None, None, pool, index.version, now + HOLDS_FOR)
    return _restricted(applying, aside, Decision(_SEND, (), None, None, None, pool, index.version, now), now)


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


def _matching(values: Values, tables: tuple[tuple[Key, Table], ...]) -> list[Prepared]:
    matching: list[Prepared] = []
    for key_of, table in tables:
        rows = table.get(key_of(values))
        if rows is not None:
            matching += rows
    return matching


def _restricted(rows: list[Prepared], aside: tuple[Reason, ...], answer: Decision, now: datetime) -> Decision:
    rows.sort(key=lambda row: not row.hold)
    held = rows[0].hold
    ends = min(row.ends for row in rows)
    reasons = tuple(row.reason for row in rows[:MOST_REASONS])
    rates = [row.rate_per_hour for row in rows if row.rate_per_hour is not None]
    return replace(
        answer,
        decision=_HOLD if held else _SLOW,
        reasons=reasons + aside,
        retry_after_seconds=_retry_after(rows, now) if held else None,
        rate_per_hour=min(rates, default=None) if not held else None,
        valid_until=min(now + HOLDS_FOR, ends),
    )


def _retry_after(rows: list[Prepared], now: datetime) -> int:
    ends = [row.reason.until for row in rows if row.hold and row.reason.until]
    if not ends:
        return RETRY_SECONDS
    seconds = int((min(ends) - now).total_seconds()) + 1
    return max(SOONEST_RETRY_SECONDS, min(LATEST_RETRY_SECONDS, seconds))


def _on_some_provider(values: Values, index: Index, now: datetime) -> tuple[Reason, ...]:
    """Restrictions on part of the mail meant: they would decide if the request named their provider."""
    partial = [row for key_of, table in index.partial for row in table.get(key_of(values), ())]
    return tuple(
        replace(row.reason, text=f"only to {row.reason.scope['provider']}: {row.reason.text}")
        for row in partial[:MOST_REASONS]
        if row.ends > now
    )


def _stale(index: Index) -> Reason:
    return Reason(
        kind=ReasonKind.STALE,
        scope={},
        effect=_SEND,
        rule=None,
        incident=None,
        text=f"restrictions as of {index.built_at:%Y-%m-%dT%H:%M:%SZ}; the database has not answered since",
        until=None,
        lifts_when="the database answers again",
    )
