"""Which restrictions in force meet a request? Found once for each set of names asked about, and remembered with the index.

A sender asks about the same names again and again: the same stream from the same addresses to the same domains. What
was found is a property of the index and the names alone, so remembering it changes no answer. A new index begins anew.
Ends are looked at when the answer is given (`Match.first_end`): what is remembered has the restrictions that ended since, too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from monitor.gate.index import DIMENSIONS, NEVER, Index, Key, Prepared, Reason, Table, Values
from monitor.gate.limits import Key as AllowanceKey
from monitor.gate.limits import keys_met
from monitor.gate.names import OTHER
from monitor.gate.words import Decided, StreamKind

if TYPE_CHECKING:
    from monitor.gate.request import Request

_MOST_REMEMBERED = 32_768
_MARKETING = StreamKind.MARKETING
_PROVIDER = DIMENSIONS.index("provider")


@dataclass(slots=True)
class Match:
    """What meets a request: `rows` decide, holds first; `aside` would decide if the request named their provider.

    `reasons` are those of `rows`. `first_end` is when the first of them all ends, `hold_end` when the first hold that has an
    end does. `probe`: 0 where no message is let through. `allowances`: those that apply, and those aside that would if the request
    named their provider. `encoded` is for a server to keep the reasons in as it sends them.
    """

    pool: str | None
    rows: tuple[Prepared, ...] = ()
    aside: tuple[tuple[datetime, Reason], ...] = ()
    held: bool = False
    rate_per_hour: int | None = None
    connections: int | None = None
    reasons: tuple[Reason, ...] = ()
    first_end: datetime = NEVER
    rows_end: datetime = NEVER
    hold_end: datetime | None = None
    probe: float = 0.0
    allowances: tuple[AllowanceKey, ...] = ()
    allowances_aside: tuple[AllowanceKey, ...] = ()
    encoded: bytes | None = field(default=None, compare=False)

    def at(self, now: datetime) -> Match:
        """Without what has ended."""
        rows = tuple(row for row in self.rows if row.ends > now)
        return self._with(rows, tuple(each for each in self.aside if each[0] > now))

    def past(self, request: Request) -> Match:
        """For one message: the holds that let it through stand aside."""
        place = _place(request)
        through = [row for row in self.rows if place < row.probe]
        if not through:
            return self
        aside = ((row.ends, replace(row.reason, effect=Decided.SEND, text=f"let through: {row.reason.text}")) for row in through)
        return self._with(tuple(row for row in self.rows if place >= row.probe), (*aside, *self.aside))

    def _with(self, rows: tuple[Prepared, ...], aside: tuple[tuple[datetime, Reason], ...]) -> Match:
        made = _made(self.pool, rows, aside)
        made.allowances, made.allowances_aside = self.allowances, self.allowances_aside
        return made


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
    match = _made(pool, tuple(sorted(rows, key=lambda row: not row.hold)), aside)
    match.allowances, match.allowances_aside = limits, limits_aside
    return match


def _made(pool: str | None, rows: tuple[Prepared, ...], aside: tuple[tuple[datetime, Reason], ...]) -> Match:
    held = bool(rows) and rows[0].hold
    slows = () if held else rows
    rows_end = min((row.ends for row in rows), default=NEVER)
    return Match(
        pool=pool, rows=rows, aside=aside, held=held, reasons=tuple(row.reason for row in rows),
        rate_per_hour=min((row.rate_per_hour for row in slows if row.rate_per_hour is not None), default=None),
        connections=min((row.connections for row in slows if row.connections is not None), default=None),
        first_end=min((rows_end, *(ends for ends, _ in aside))), rows_end=rows_end,
        probe=max((row.probe for row in rows), default=0.0), hold_end=min((row.ends for row in rows if row.hold and row.ends is not NEVER), default=None),
    )  # fmt: skip


def _place(request: Request) -> float:
    """Where a message stands among all of its mail, from 0 to 1: another in each campaign, the same at every try."""
    text = "\0".join((request.customer, request.campaign or "", request.message or ""))
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).digest(), "big") / 2**48


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
