"""Follows the restrictions in force and says to every node what changed; answers what is said now and what cannot be.

The restrictions are those senders follow (monitor.restrictions.follow), so a database that is away changes nothing: what was known
is renewed. What records show (domains of a provider, ready queues of a source) is written down every minute, for a restart and for
other processes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.config.mta import KumoMta
from monitor.facts import Store
from monitor.gate import Index
from monitor.gate.allowances import Allowance
from monitor.mta.kumomta.caps import Caps
from monitor.mta.kumomta.hub import Hub, instant
from monitor.mta.kumomta.overlay import OverlayError, overlay
from monitor.mta.kumomta.seen import Seen
from monitor.mta.kumomta.translate import Key, ReadyKey, Wanted, World, translate
from monitor.restrictions.follow import GateIndex

log = logging.getLogger(__name__)
EVERY_SECONDS = 0.1
WRITTEN_EVERY = timedelta(minutes=1)
CURSOR = "mta/kumomta"
_NEVER = datetime.max.replace(tzinfo=UTC)
_SHOWN = 1_000  # of what cannot be said

Lifted = Callable[[Sequence[Key]], None]


class Speaker:
    """Used from the event loop of the server; `seen` may be taught by any thread."""

    def __init__(
        self, settings: KumoMta, gate: GateIndex, store: Store, clock: Callable[[], datetime], address: str = ""
    ) -> None:
        self.settings, self.gate, self.seen = settings, gate, Seen()
        self.hub = Hub(settings.lease)
        self.overlay = overlay((), denominators=settings.denominators).encode()
        self.overlay_fault: str | None = None
        self.wanted = Wanted()
        self.on_lifted: Lifted = lambda _: None
        self._store, self._clock, self._address = store, clock, address
        self._caps = Caps()
        self._known: tuple[Any, ...] = ()
        self._next_end = _NEVER
        self._written_at: datetime | None = None
        self._written = -1

    async def run(self) -> None:
        """Follow until cancelled; what fails is logged and tried again."""
        failing = False
        while True:
            try:
                await self.turn()
                failing = False
            except Exception as error:  # noqa: BLE001 - a follower that ended would leave every node behind for good
                if not failing:
                    log.warning("KumoMTA's nodes go on with what they know: %s: %s", type(error).__name__, error)
                failing = True
            await asyncio.sleep(EVERY_SECONDS)

    async def turn(self) -> None:
        """Say what is new, renew what is due."""
        now, index = self._clock(), self.gate.index
        if not self.gate.ready:
            return
        allowances = self.gate.allowances
        known = (index.restrictions, index.pools, index.kinds, self.gate.providers, allowances, self.seen.version)
        if now >= self._next_end or not _same(known, self._known):
            wanted, text = await asyncio.to_thread(self._translated, index, allowances, now)
            self._known = known
            self._say(wanted, text, now)
        self.hub.renew(now)
        if self._written_at is None or now - self._written_at >= WRITTEN_EVERY:
            self._written_at = now
            await asyncio.to_thread(self.write_down, now)

    def _translated(
        self, index: Index, allowances: tuple[Allowance, ...], now: datetime
    ) -> tuple[Wanted, str | OverlayError]:
        world = World(self.settings, self.gate.providers, self.seen, index.pools, index.kinds, self._address)
        wanted = translate(index.restrictions, world, now)
        rates, used_up, unspoken = self._caps(allowances, world, now)
        wanted = Wanted({**used_up, **wanted.suspensions}, (*wanted.rates, *rates), (*wanted.unspoken, *unspoken))
        ends = [row.until for row in index.restrictions if row.until and row.until > now]
        self._next_end = min([*ends, *(row.resets_at for row in allowances if row.resets_at > now)], default=_NEVER)
        if wanted.rates == self.wanted.rates and self.overlay_fault is None:
            return wanted, self.overlay.decode()  # to write and read it anew takes a second where it is long
        try:
            return wanted, overlay(wanted.rates, denominators=self.settings.denominators)
        except OverlayError as error:
            return wanted, error

    def _say(self, wanted: Wanted, text: str | OverlayError, now: datetime) -> None:
        before = {row.id for row in self.wanted.unspoken}
        for row in wanted.unspoken:
            if row.id not in before:
                log.warning("KumoMTA cannot be given %s: %s", row.id, row.why)
        self.wanted = wanted
        _, lifted = self.hub.update(wanted.suspensions, now)
        if isinstance(text, OverlayError):
            if self.overlay_fault is None:
                log.error("the shaping overlay stays as it was: %s", text)
            self.overlay_fault = str(text)
        else:
            self.overlay, self.overlay_fault = text.encode(), None
        if lifted:
            self.on_lifted(lifted)

    def write_down(self, now: datetime) -> None:
        """Exchange what was seen with the database."""
        self.seen.forget(now)
        first = self._written < 0
        if first or self._written != self.seen.version:
            written = self._store.cursor(CURSOR, "seen")
            self.seen.merge(written)
            self._written = self.seen.version
            shown = self.seen.as_json()
            if shown != written and any(shown.values()):
                self._store.put_cursor(CURSOR, "seen", shown, now)

    def status(self) -> dict[str, Any]:
        """What a person asks: what is said, to whom, and what cannot be."""
        now = self._clock()
        held = self.hub.held
        return {
            "version": self.gate.index.version,
            "known_at": instant(self.gate.index.built_at) if self.gate.ready else None,
            "subscribers": sorted(each.node for each in self.hub.subscribers),
            "suspensions": {
                "ready_q": sum(isinstance(key, ReadyKey) for key in held),
                "sched_q": sum(not isinstance(key, ReadyKey) for key in held),
            },
            "rates": len(self.wanted.rates),
            "overlay_bytes": len(self.overlay),
            "overlay_fault": self.overlay_fault,
            "unspoken": [
                {"id": row.id, "scope": dict(row.scope), "why": row.why} for row in self.wanted.unspoken[:_SHOWN]
            ],
            "unspoken_count": len(self.wanted.unspoken),
            "domains_left_out": self.seen.left_out(),
            "at": instant(now),
        }


def _same(now: Sequence[Any], before: Sequence[Any]) -> bool:
    """Whether nothing was swapped: each part is replaced whole, and comparing them costs more than translating."""
    return len(now) == len(before) and all(a is b or (isinstance(a, int) and a == b) for a, b in zip(now, before, strict=True))


