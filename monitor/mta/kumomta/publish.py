"""Records that log hooks post: many connections, each with one record, committed together; answered once they are safe.

A slow answer holds a connection of kumod's up, a refusal comes back for days: what cannot be read is parked and answered as
the rest, and where the database does not answer a record is refused at once (503), for kumod keeps it on its own disk.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from collectors.delivery import kumomta
from collectors.delivery.counting import Counted, Line, lines_of, provider_of
from collectors.delivery.outcomes import Ignored, Outcome, Read, Unreadable
from monitor.config.mta import KumoMta
from monitor.intake.records import PREFIX, Attribution, Take, take_records, trusted
from monitor.mta.kumomta.nodes import Clocks
from monitor.mta.kumomta.seen import Seen
from monitor.restrictions.follow import GateIndex

log = logging.getLogger(__name__)
SOURCE = PREFIX + kumomta.FORMAT
MOST_TOGETHER = 2_000
MOST_WAITING = 20_000
ANSWER_SECONDS = 20.0


@dataclass(slots=True)
class _Waiting:
    raw: bytes
    node: str
    whole: bool
    done: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Publishing:
    """`put` is awaited by each request; one task commits what has come together."""

    def __init__(
        self, settings: KumoMta, gate: GateIndex, take: Take, clock: Callable[[], datetime], seen: Seen,
        clocks: Clocks | None = None,
    ) -> None:
        self._settings, self._gate, self._take, self._clock, self._seen = settings, gate, take, clock, seen
        self._clocks = clocks or Clocks()
        self._waiting: list[_Waiting] = []
        self._news = asyncio.Event()
        self.counted = 0
        self.parked = 0

    async def put(self, raw: bytes, node: str, *, whole: bool = True) -> bool:
        """Whether the record is safe. `whole` False: only its beginning came, it is too large."""
        if len(self._waiting) >= MOST_WAITING:
            return False
        mine = _Waiting(raw, node, whole)
        self._waiting.append(mine)
        self._news.set()
        try:
            return await asyncio.wait_for(mine.done, ANSWER_SECONDS)
        except TimeoutError:
            return False

    async def run(self) -> None:
        """Commit what waits, again and again, until cancelled."""
        while True:
            await self._news.wait()
            together, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
            if not self._waiting:
                self._news.clear()
            try:
                await asyncio.to_thread(self._commit, together)
                safe = True
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the store, kumod keeps its records
                log.warning("records wait at the nodes: %s: %s", type(error).__name__, error)
                safe = False
            for each in together:
                if not each.done.done():
                    each.done.set_result(safe)

    def _commit(self, together: Sequence[_Waiting]) -> None:
        lines: list[Line] = []
        for number, each in enumerate(together, 1):
            reader = _posted if each.whole else _too_large
            lines += lines_of([each.raw.replace(b"\n", b" ")], reader, SOURCE, number)
        if not lines:
            return
        now = self._clock()
        for line in lines:
            if not isinstance(line.read, Ignored | Unreadable):
                for event in line.read:
                    if event.outcome is not Outcome.COMPLAINED:  # it is dated by the mail complained of
                        self._clocks.saw(together[line.number - 1].node, event.at, now)
        whose = Attribution(self._settings, self._gate.names, self._gate.owners)
        counted, _ = take_records(
            self._take, lines, source=SOURCE, key=secrets.token_hex(16), now=now, providers=self._gate.providers, whose=whose,
            trust=trusted(self._settings), brought_by="mta.kumomta",
        )  # fmt: skip
        self.counted += counted.read
        self.parked += len(counted.unreadable)
        self._learn(counted, whose, now)

    def _learn(self, counted: Counted, whose: Attribution, now: datetime) -> None:
        providers = self._gate.providers
        self._seen.learn(((event, provider_of(event, providers), whose.ip(event)) for event in counted.events), providers, now)


def _posted(raw: bytes) -> Read:
    """A hook posts records and nothing else."""
    read = kumomta.read(raw)
    return Unreadable("not a JSON object") if read == Ignored(kumomta.TEMPLATE) else read


def _too_large(_: bytes) -> Unreadable:
    return Unreadable("larger than 2 MiB")
