"""Each node by itself: does it hold what was said, does its clock agree with ours, and is held mail released after a lift?

Only for nodes with an `admin_url` (KumoMTA's own admin API, which the node must open to this machine): every minute what is in force there is
read back (`GET /api/admin/suspend/v1`, `suspend-ready-q/v1`); after a lift the queues meant are put up for delivery at once (`POST
/api/admin/rebind/v1`), for mail that was held waits for its own retry else. Never without a criterion: that would move every queue.
A clock is compared by the newest record: one from the future, or none that is not old, is off (or the records come late).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx

from collectors.contract import Reason
from collectors.observation import Batch, Observation, Subject
from monitor.config.mta import KumoMta
from monitor.intake.records import Take
from monitor.mta.kumomta.hub import Hub
from monitor.mta.kumomta.translate import Key, ReadyKey, SchedKey

log = logging.getLogger(__name__)
SOURCE = "mta/kumomta"
EVERY_SECONDS = 60.0
_SETTLED = timedelta(seconds=30)  # kumod applies what it hears after 3 s; a busy one later
_APPLIED_SECONDS = 4.0  # a lift is in force there before its queues are put up
_TIMEOUT = 10.0
_MOST_MISSING = 5


class Clocks:
    """By node: how far its newest record is ahead of our clock (negative: behind), since it was last asked. Any thread."""

    def __init__(self) -> None:
        self._ahead: dict[str, timedelta] = {}
        self._lock = threading.Lock()

    def saw(self, node: str, at: datetime, received_at: datetime) -> None:
        with self._lock:
            self._ahead[node] = max(at - received_at, self._ahead.get(node, timedelta.min))

    def since_last(self) -> dict[str, timedelta]:
        with self._lock:
            ahead, self._ahead = self._ahead, {}
        return ahead


class Nodes:
    """`run` looks every minute; `lifted` is called with the scopes that were."""

    def __init__(
        self, settings: KumoMta, hub: Hub, take: Take, clock: Callable[[], datetime], clocks: Clocks,
        every_seconds: float = EVERY_SECONDS, applied_seconds: float = _APPLIED_SECONDS,
    ) -> None:
        self._admin = {name: node.admin_url for name, node in settings.nodes.items() if node.admin_url}
        self._hub, self._take, self._clock, self._clocks = hub, take, clock, clocks
        self._every, self._applied = every_seconds, applied_seconds
        self._since: dict[Key, datetime] = {}
        self._flushes: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001 - the next look may succeed
                log.warning("KumoMTA's nodes were not looked at: %s: %s", type(error).__name__, error)

    def lifted(self, keys: Sequence[Key]) -> None:
        """Release at once what was held there."""
        criteria = [each for each in map(_criteria, keys) if each]
        for name, url in self._admin.items() if criteria else ():
            task = asyncio.ensure_future(self._flush(name, url, criteria))
            self._flushes.add(task)
            task.add_done_callback(self._flushes.discard)

    async def _flush(self, name: str, url: str, criteria: Iterable[Mapping[str, str]]) -> None:
        await asyncio.sleep(self._applied)
        async with httpx.AsyncClient(timeout=_TIMEOUT) as client:
            for each in criteria:
                body = {**each, "reason": "Vigie lifted a suspension", "data": {}, "always_flush": True, "suppress_logging": True}
                try:
                    answer = await client.post(f"{url}/api/admin/rebind/v1", json=body)
                    answer.raise_for_status()
                except httpx.HTTPError as error:
                    log.warning("node %s: what was held of %s waits for its own retry: %s", name, dict(each), error)
                    return

    async def _look(self) -> None:
        now = self._clock()
        held = self._hub.held
        self._since = {key: self._since.get(key, now) for key in held}
        settled = {key for key, since in self._since.items() if now - since >= _SETTLED}
        observations = [
            Observation("mta_clock", _about(name), now, abs(ahead.total_seconds())) for name, ahead in self._clocks.since_last().items()
        ]
        async with httpx.AsyncClient(timeout=_TIMEOUT) as client:
            observations += [await self._read_back(client, name, url, settled, now) for name, url in self._admin.items()]
        if observations:
            batch = Batch(SOURCE, secrets.token_hex(16), now, tuple(observations))
            await asyncio.to_thread(self._take, [batch])

    async def _read_back(self, client: httpx.AsyncClient, name: str, url: str, settled: set[Key], now: datetime) -> Observation:
        try:
            ready = await _listed(client, f"{url}/api/admin/suspend-ready-q/v1")
            sched = await _listed(client, f"{url}/api/admin/suspend/v1")
        except httpx.TimeoutException:
            return Observation("mta_in_force", _about(name), now, None, Reason.TIMEOUT)
        except httpx.HTTPStatusError as error:
            reason = Reason.AUTH if error.response.status_code in (401, 403) else Reason.REFUSED
            return Observation("mta_in_force", _about(name), now, None, reason)
        except httpx.HTTPError:
            return Observation("mta_in_force", _about(name), now, None, Reason.NETWORK)
        except ValueError:
            return Observation("mta_in_force", _about(name), now, None, Reason.MALFORMED)
        names = {row.get("name") for row in ready}
        criteria = {SchedKey(row.get("campaign"), row.get("domain"), row.get("tenant")) for row in sched}
        missing = [key for key in settled & self._hub.held.keys() if (key.name not in names if isinstance(key, ReadyKey) else key not in criteria)]
        if missing:
            log.warning("node %s does not hold %d of %d suspensions: %s", name, len(missing), len(settled), missing[:_MOST_MISSING])
        return Observation("mta_in_force", _about(name), now, float(not missing))


async def _listed(client: httpx.AsyncClient, url: str) -> list[dict[str, Any]]:
    """Raises httpx.HTTPError, or ValueError for what is no list of objects."""
    answer = await client.get(url)
    answer.raise_for_status()
    rows = answer.json()
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("no list of suspensions")
    return rows


def _criteria(key: Key) -> dict[str, str] | None:
    """What `rebind` is given; of a ready queue nothing: its mail goes out from another source meanwhile."""
    if isinstance(key, ReadyKey):
        return None
    return {name: value for name, value in key._asdict().items() if value is not None} or None


def _about(node: str) -> Subject:
    return Subject(collector="kumomta", aspect=node)
