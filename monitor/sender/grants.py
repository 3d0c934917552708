"""Messages this sender has reserved of allowances: taken on the spot, filled up and given back in the background.

A pot holds the grants for one set of allowances that apply together. Nothing is ever sent on a grant past its end, nor on one
that was given back. What was used is said as soon as a grant is used up or over, again and again until it was heard, for the
service counts by it. What lies idle goes back, for others wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.sender.clock import Clock
from monitor.sender.http import Address, Answer
from monitor.sender.known import instant

TTL_SECONDS = 300
IDLE_SECONDS = 30.0  # then the rest goes back
BEFORE_END_SECONDS = 2.0  # nothing is sent on a grant so shortly before its end: two clocks differ
_SHARE_OF_CAP = 20  # one sender reserves at most a twentieth ahead, so that the others find something too
_MOST_AHEAD = 1_000
_TRY_AGAIN = 1.0
_WAITS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # between tries to give back
_MOST_POTS, _MOST_RETURNS = 10_000, 100_000
Key = tuple[str, ...]  # the ids of the allowances that apply


@dataclass(slots=True)
class Grant:
    """`id` None: the service has no such allowance (any more), and let so many through."""

    id: str | None
    left: int
    granted: int
    ends: float


@dataclass(slots=True)
class Pot:
    """`wanted`: so many were asked for and not to be had. `closed_until`: the service has none before then."""

    fields: Mapping[str, Any]
    cap: int
    grants: list[Grant] = field(default_factory=list)
    wanted: int = 0
    used_lately: int = 0
    taken_at: float = 0.0
    closed_until: float = 0.0
    pool: str | None = None
    call: tuple[str, Mapping[str, Any]] | None = None  # its key and body, until it is answered: asked again it reserves nothing twice

    def left(self, now: float) -> int:
        return sum(grant.left for grant in self.grants if grant.ends > now)

    def ahead(self) -> int:
        return min(max(self.cap // _SHARE_OF_CAP, 1), _MOST_AHEAD, max(2 * self.used_lately, 1))


class Grants:
    """Any thread may take; one task fills up. `wake` is called when there is something to do for it."""

    def __init__(self, sender: str, clock: Clock, wake: Callable[[], None]) -> None:
        self._sender, self._clock, self._wake = sender, clock, wake
        self._pots: dict[Key, Pot] = {}
        self._returns: list[tuple[str, int]] = []
        self._lock = threading.Lock()

    def left(self, key: Key) -> int:
        pot = self._pots.get(key)
        return pot.left(time.monotonic()) if pot is not None else 0

    def take(self, key: Key, count: int, cap: int, fields: Mapping[str, Any]) -> bool:
        """Use so many, if they are at hand; else they are fetched."""
        now = time.monotonic()
        with self._lock:
            pot = self._pots.get(key)
            if pot is None:
                if len(self._pots) >= _MOST_POTS:
                    return False
                pot = self._pots[key] = Pot(fields, cap)
            pot.fields, pot.cap, pot.taken_at = fields, cap, now
            had = pot.left(now)
            if had < count:
                pot.wanted = max(pot.wanted, count - had)
            else:
                pot.used_lately += count
                self._use(pot, count, now)
            runs_out = had - count < pot.ahead() // 2
        if runs_out:
            self._wake()
        return had >= count

    def closed(self, key: Key) -> tuple[int, str | None]:
        """Seconds until something can be had again (1: soon), and the pool the mail may go to instead."""
        pot = self._pots.get(key)
        wait = 0.0 if pot is None else pot.closed_until - time.monotonic()
        return (math.ceil(wait), pot.pool) if pot is not None and wait > 0 else (1, None)

    def reopen(self, exhausted: Collection[str]) -> None:
        """Other allowances than these have something left again."""
        for key, pot in list(self._pots.items()):
            if not any(of in exhausted for of in key):
                pot.closed_until = 0.0

    async def work(self, address: Address) -> None:
        """Fill up what runs out, give back what is over."""
        self._settle()
        with self._lock:
            due = [(key, pot) for key, pot in self._pots.items() if self._asks(pot)]
        await asyncio.gather(self._give_back(address), *(self._fill(address, pot) for _, pot in due))

    async def close(self, address: Address) -> None:
        """Give everything back, also what was asked for and not heard of."""
        await asyncio.gather(*(self._fill(address, pot) for pot in list(self._pots.values()) if pot.call is not None))
        self._settle(everything=True)
        await self._give_back(address)

    def _use(self, pot: Pot, count: int, now: float) -> None:
        for grant in sorted(pot.grants, key=lambda grant: grant.ends):
            used = min(count, grant.left) if grant.ends > now else 0
            grant.left -= used
            count -= used

    def _asks(self, pot: Pot) -> bool:
        now = time.monotonic()
        in_use = pot.wanted or now - pot.taken_at < IDLE_SECONDS
        return bool(in_use) and pot.closed_until <= now and (pot.wanted > 0 or pot.left(now) < max(pot.ahead() // 2, 1))

    def _settle(self, *, everything: bool = False) -> None:
        """Take grants that are over, used up or idle out of the pots, to be given back."""
        now = time.monotonic()
        with self._lock:
            for key, pot in list(self._pots.items()):
                idle = everything or now - pot.taken_at > IDLE_SECONDS
                over = [grant for grant in pot.grants if idle or grant.left == 0 or grant.ends <= now]
                pot.grants = [grant for grant in pot.grants if grant not in over]
                self._returns += [(grant.id, grant.granted - grant.left) for grant in over if grant.id is not None]
                if idle:
                    pot.used_lately = pot.wanted = 0
                if idle and not pot.grants and pot.closed_until <= now:
                    del self._pots[key]
            del self._returns[_MOST_RETURNS:]

    async def _fill(self, address: Address, pot: Pot) -> None:
        if pot.call is None:
            count = max(pot.wanted, pot.ahead())
            pot.call = uuid.uuid4().hex, {**pot.fields, "count": count, "sender": self._sender, "ttl_seconds": TTL_SECONDS}
        key, wanted = pot.call
        began = time.monotonic()
        try:
            answer = await address.call("POST", "/v1/allowances/grant", wanted, {"Idempotency-Key": key})
            self._granted(pot, answer, began)
        except (OSError, ValueError, KeyError, TypeError):
            pot.closed_until = time.monotonic() + _TRY_AGAIN

    def _granted(self, pot: Pot, answer: Answer, began: float) -> None:
        now = time.monotonic()
        if answer.status != 200:
            if answer.status < 500:
                pot.call = None  # it was answered: asked again it may be otherwise
            pot.closed_until = now + _TRY_AGAIN
            return
        content = answer.json()
        granted, ends = int(content["granted"]), began + TTL_SECONDS
        if content["expires_at"] is not None:
            ends = min(ends, now + (instant(content["expires_at"]) - self._clock.now()).total_seconds())
        with self._lock:
            pot.call, pot.wanted, pot.used_lately = None, 0, pot.used_lately // 2
            if granted > 0:
                pot.pool, pot.closed_until = None, 0.0
                pot.grants.append(Grant(content["grant"], granted, granted, ends - BEFORE_END_SECONDS))
            else:
                pot.pool = content.get("pool")
                pot.closed_until = now + max(float(content.get("retry_after_seconds") or _TRY_AGAIN), _TRY_AGAIN)

    async def _give_back(self, address: Address) -> None:
        due = self._returns[:100]  # they stay until they were heard, for this may be cancelled at any moment
        if due:
            answers = await asyncio.gather(*(_returned(address, grant, used) for grant, used in due))
            heard = {grant for (grant, _), done in zip(due, answers, strict=True) if done}
            with self._lock:
                self._returns = [each for each in self._returns if each[0] not in heard]

    @property
    def unsettled(self) -> int:
        """Grants whose use the service has not heard of yet."""
        return len(self._returns)


async def _returned(address: Address, grant: str, used: int) -> bool:
    """Whether the service knows of it now, or never will."""
    with contextlib.suppress(OSError):
        answer = await address.call("POST", "/v1/allowances/return", {"grant": grant, "used": used})
        return answer.status < 500 and answer.status not in {401, 403, 408, 429}
    return False


def fields_of(named: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The fields of a request that name something, as a grant is asked for."""
    return {name: value for name, value in named if value is not None and name not in {"count", "message"}}
