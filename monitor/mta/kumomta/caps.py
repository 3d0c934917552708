"""Warm-up caps → KumoMTA: a source's own rate at a provider, so that what is beyond goes out from another of its pool.

KumoMTA keeps one bucket per limit: a limit that changes begins with a full bucket, so a cap once said stays until the day it
was said for is over, and a burst is the 24th part of a day. Where nothing is left today, the ready queues are suspended.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from monitor.gate.allowances import Allowance
from monitor.mta.kumomta.translate import (
    Key,
    NotExactError,
    Rate,
    Suspension,
    Unspoken,
    World,
    group_of,
    keys_of,
    provider_domains,
)


class Caps:
    """Remembers which cap was said for which day."""

    def __init__(self) -> None:
        self._stated: dict[str, tuple[int, datetime]] = {}

    def __call__(
        self, allowances: Iterable[Allowance], world: World, now: datetime
    ) -> tuple[list[Rate], dict[Key, Suspension], list[Unspoken]]:
        """The rates, the queues of what is used up, and what cannot be said."""
        rates: list[Rate] = []
        used_up: dict[Key, Suspension] = {}
        unspoken: list[Unspoken] = []
        stated: dict[str, tuple[int, datetime]] = {}
        for row in allowances:
            before = self._stated.get(row.id)
            cap, ends_at = before if before is not None and now < before[1] else (row.cap, row.resets_at)
            stated[row.id] = cap, ends_at
            try:
                if row.exhausted or cap < 1:
                    reason = f"warm-up: the day's {row.cap:,} messages are used up"
                    used_up |= {key: Suspension(reason, (row.id,), row.resets_at) for key in keys_of(row.scope, world)}
                rates += _rates(row, cap, world)
            except NotExactError as error:
                unspoken.append(Unspoken(row.id, row.scope, str(error)))
        self._stated = stated
        return rates, used_up, unspoken


def _rates(row: Allowance, cap: int, world: World) -> list[Rate]:
    if row.scope.keys() != {"ip", "provider"}:
        raise NotExactError("a cap is spoken of an IP at a provider")
    nodes = 1 if world.settings.shared_throttles else max(1, len(world.settings.nodes))
    limit = cap // nodes
    if limit < 1:
        return []  # nothing may be sent: its queues are suspended
    provider = row.scope["provider"]
    group_of(provider, world)
    name = world.seen.name_of(provider)
    rate = Rate(f"vigie-{row.id}", limit, "d", f"warm-up: {cap:,} messages a day", (row.id,), None, None, name,
                () if name else tuple(provider_domains(provider, world)), shared=name is not None)
    return [replace(rate, source=source) for source in world.seen.sources(row.scope["ip"])]
