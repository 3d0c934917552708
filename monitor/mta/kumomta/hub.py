"""What every connected kumod hears: suspensions renewed by leases, lifts by an end that is past, everything again on connecting.

KumoMTA knows no lift: an event of the same scope with an end in the past replaces the entry by one of no length. Each event is
good for the lease only and is renewed three times within it, so that a Vigie that dies holds nothing for long, a kumod that was
restarted hears them again, and a lift that was missed is made up for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson

from monitor.mta.kumomta.translate import Key, ReadyKey, SchedKey, Suspension

RENEWALS = 3  # in a lease
_LONG_PAST = timedelta(days=1)  # whatever a node's clock says
_MOST_WAITING = 64  # of a subscriber that does not read: it is let go, and asks again for everything
_MOST_FRAMES = 200_000

Frame = tuple[Key, dict[str, Any]]


class Subscriber:
    """One websocket: batches of frames that wait to be sent; None ends it."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.waiting: asyncio.Queue[list[Frame] | None] = asyncio.Queue()

    def put(self, frames: list[Frame]) -> bool:
        if self.waiting.qsize() >= _MOST_WAITING:
            self.waiting.put_nowait(None)
            return False
        self.waiting.put_nowait(frames)
        return True


class Hub:
    """The suspensions in force as KumoMTA holds them; used from one event loop."""

    def __init__(self, lease: timedelta) -> None:
        self.held: Mapping[Key, Suspension] = {}
        self.subscribers: set[Subscriber] = set()
        self._lease = lease
        self._lifted: dict[Key, datetime] = {}
        self._renewed_at: datetime | None = None

    def update(self, wanted: Mapping[Key, Suspension], now: datetime) -> tuple[list[Key], list[Key]]:
        """Say what changed. Returns the scopes that are new or other than before, and those lifted."""
        changed = [key for key, suspension in wanted.items() if self.held.get(key) != suspension]
        lifted = [key for key in self.held if key not in wanted]
        self.held = dict(wanted)
        self._lifted = {key: at for key, at in self._lifted.items() if key not in wanted and now - at <= self._lease}
        self._lifted.update(dict.fromkeys(lifted, now))
        self._publish([(key, self._entry(key, now)) for key in (*lifted, *changed)])
        return changed, lifted

    def renew(self, now: datetime) -> bool:
        """Say everything again, once a third of the lease is over."""
        if self._renewed_at is not None and now - self._renewed_at < self._lease / RENEWALS:
            return False
        self._renewed_at = now
        self._publish(self.replay(now, lifts=False))
        return True

    def replay(self, now: datetime, *, lifts: bool = True) -> list[Frame]:
        """All that is in force, ready queues first; with `lifts` also what was lifted while somebody may still hold it."""
        keys = sorted(self.held, key=lambda key: isinstance(key, SchedKey))
        if lifts:
            keys = [*(key for key, at in self._lifted.items() if now - at <= self._lease), *keys]
        return [(key, self._entry(key, now)) for key in keys[:_MOST_FRAMES]]

    def document(self, now: datetime) -> dict[str, list[dict[str, Any]]]:
        """`suspended.json`: each kind by its end."""
        entries: dict[type, list[dict[str, Any]]] = {ReadyKey: [], SchedKey: []}
        for key in self.held:
            entries[type(key)].append(self._entry(key, now))
        return {
            name: sorted(entries[kind], key=lambda entry: str(entry["expires"]))
            for name, kind in (("ready_q", ReadyKey), ("sched_q", SchedKey))
        }

    def close(self) -> None:
        for subscriber in self.subscribers:
            subscriber.waiting.put_nowait(None)

    def _publish(self, frames: list[Frame]) -> None:
        if frames:
            self.subscribers = {each for each in self.subscribers if each.put(frames)}

    def _entry(self, key: Key, now: datetime) -> dict[str, Any]:
        suspension = self.held.get(key)
        if suspension is None:
            expires, reason, ids = now - _LONG_PAST, "lifted", ""
        else:
            expires = min(now + self._lease, suspension.until or now + self._lease)
            reason, ids = suspension.reason, ",".join(suspension.ids)[:200]
        common = {"reason": reason, "expires": instant(expires)}
        if isinstance(key, ReadyKey):
            return {"rule_hash": ids, "site_name": key.name, "source": key.source, **common}
        return {"rule_hash": ids, "tenant": key.tenant, "domain": key.domain, "campaign": key.campaign, **common}


def instant(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}Z"


def texts(frames: Iterable[Frame], *, old: bool) -> list[str]:
    """One text of JSON each, as `/subscribe_event_v1` has them, or (`old`) `/subscribe_suspension_v1`."""
    names = ("ReadyQ", "SchedQ") if old else ("ReadyQSuspension", "SchedQSuspension")
    return [orjson.dumps({names[isinstance(key, SchedKey)]: entry}).decode() for key, entry in frames]
