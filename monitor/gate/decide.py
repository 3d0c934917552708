"""May I send? Request + restrictions in force + now → send, slow or hold, with every reason. Pure.

hold beats slow; of several slows the lowest rate counts. A restriction past its `until` no longer counts,
also in an index that was not rebuilt since.

A request that names neither provider nor recipient domain asks about all of a customer's mail. A brake on
one provider must not stop the rest, and must not be passed over in silence either: it does not decide, but
stands among the reasons with its scope, so that the sender sees that it has to ask for each provider.

A recipient domain of no provider we know is its own provider, and also one of the many called `other`:
facts about small domains are counted under that name, so a brake drawn from them must find them again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from collectors.providers import provider_of_domain
from monitor.gate.index import Brake, Index, Key, Reason, Table, Values
from monitor.gate.request import Request

HOLDS_FOR = timedelta(minutes=15)  # an answer is good for this long at most
STALE_AFTER = timedelta(minutes=2)  # the index is confirmed every second or so; this old, the database is away
SOONEST_RETRY_SECONDS, LATEST_RETRY_SECONDS, RETRY_SECONDS = 30, 900, 600
MOST_REASONS = 20
OTHER = "other"  # the provider that facts about recipient domains of no known provider are counted under


@dataclass(slots=True)  # not frozen: setting eight fields of a frozen one takes a sixth of the decision
class Decision:
    """The answer; the wire form is these fields."""

    decision: str  # send | slow | hold
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
    provider = request.provider
    unknown_domain = False
    if provider is None and request.recipient_domain is not None:
        provider = provider_of_domain(request.recipient_domain)
        unknown_domain = provider is None
        provider = provider or request.recipient_domain
    # a stream the inventory does not know is taken for marketing: the careful side
    kind = index.kinds.get((customer, stream), "marketing") if stream else "marketing"
    values = (customer, stream, request.campaign, ip, pool, request.domain, provider, kind)

    found = _found(values, index.tables)
    if unknown_domain:
        found += _found((*values[:6], OTHER, kind), index.provider_tables)
    aside = _on_some_provider(values, index, now) if provider is None and index.partial else ()
    if now - index.built_at > STALE_AFTER:
        aside = (_stale(index), *aside)
    applying = [brake for brake in found if brake.ends > now] if found else found
    if not applying:
        return Decision("send", aside, None, None, None, pool, index.version, now + HOLDS_FOR)
    return _braked(applying, aside, Decision("send", (), None, None, None, pool, index.version, now), now)


def _found(values: Values, tables: tuple[tuple[Key, Table], ...]) -> list[Brake]:
    found: list[Brake] = []
    for key_of, table in tables:
        brakes = table.get(key_of(values))
        if brakes is not None:
            found += brakes
    return found


def _braked(brakes: list[Brake], aside: tuple[Reason, ...], answer: Decision, now: datetime) -> Decision:
    brakes.sort(key=lambda brake: not brake.hold)
    held = brakes[0].hold
    ends = min(brake.ends for brake in brakes)
    reasons = tuple(brake.reason for brake in brakes[:MOST_REASONS])
    rates = [brake.rate_per_hour for brake in brakes if brake.rate_per_hour is not None]
    return replace(
        answer,
        decision="hold" if held else "slow",
        reasons=reasons + aside,
        retry_after_seconds=_retry_after(brakes, now) if held else None,
        rate_per_hour=min(rates, default=None) if not held else None,
        valid_until=min(now + HOLDS_FOR, ends),
    )


def _retry_after(brakes: list[Brake], now: datetime) -> int:
    ends = [brake.reason.until for brake in brakes if brake.hold and brake.reason.until]
    if not ends:
        return RETRY_SECONDS
    seconds = int((min(ends) - now).total_seconds()) + 1
    return max(SOONEST_RETRY_SECONDS, min(LATEST_RETRY_SECONDS, seconds))


def _on_some_provider(values: Values, index: Index, now: datetime) -> tuple[Reason, ...]:
    """Brakes on part of what is asked: they would decide if the request named their provider."""
    partial = [brake for key_of, table in index.partial for brake in table.get(key_of(values), ())]
    return tuple(
        replace(brake.reason, text=f"only to {brake.reason.scope['provider']}: {brake.reason.text}")
        for brake in partial[:MOST_REASONS]
        if brake.ends > now
    )


def _stale(index: Index) -> Reason:
    return Reason(
        kind="stale",
        scope={},
        effect="send",
        rule=None,
        incident=None,
        text=f"restrictions as of {index.built_at:%Y-%m-%dT%H:%M:%SZ}; the database has not answered since",
        until=None,
        lifts_when="the database answers again",
    )
