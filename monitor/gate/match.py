"""What meets a request: the restrictions that decide, and those that would if the request named their provider."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from monitor.gate.limits import Key
from monitor.gate.restriction import NEVER, Prepared, Reason
from monitor.gate.words import Decided

if TYPE_CHECKING:
    from monitor.gate.request import Request


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
    allowances: tuple[Key, ...] = ()
    allowances_aside: tuple[Key, ...] = ()
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
        match = made(self.pool, rows, aside)
        match.allowances, match.allowances_aside = self.allowances, self.allowances_aside
        return match


def made(pool: str | None, rows: tuple[Prepared, ...], aside: tuple[tuple[datetime, Reason], ...]) -> Match:
    """What these rows, holds first, come to together."""
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
