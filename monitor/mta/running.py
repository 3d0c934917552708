"""Starts and ends what MTAs ask, each server in a thread with a loop of its own, beside the API it shares the restrictions with."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from monitor.api.serve import AddressError, check_address, serve
from monitor.config.mta import KumoMta, Mta, PostfixPolicy
from monitor.config.settings import Listening
from monitor.facts import Store
from monitor.intake.records import Take
from monitor.mta.kumomta.nodes import Clocks, Nodes
from monitor.mta.kumomta.publish import Publishing
from monitor.mta.kumomta.server import KumoServer
from monitor.mta.kumomta.speaker import Speaker
from monitor.mta.postfix.server import PolicyServer
from monitor.restrictions.follow import GateIndex

log = logging.getLogger(__name__)
_CONNECTIONS = 4_000  # one for each record under way: a kumod opens many
_IDLE_SECONDS = 120  # kumod keeps a connection for 90 s
_END_SECONDS = 15
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Given:
    """What every server needs of the rest; `address`: where people see incidents."""

    store: Store
    gate: GateIndex
    take: Take
    clock: Callable[[], datetime]
    address: str


class MtaServers:
    """The servers that are configured; `start` returns at once, and they end with `stop`."""

    def __init__(self, settings: Mta, given: Given) -> None:
        self._settings, self._given = settings, given
        self._threads: list[threading.Thread] = []

    def check_addresses(self) -> None:
        """Raises AddressError for one that cannot be listened on, or that two of them have."""
        for name, settings in self._listening():
            check_address(settings.host, settings.port, f"mta.{name}.listen")

    @property
    def addresses(self) -> dict[str, str]:
        """Name → HOST:PORT, for the line that says who starts."""
        return {name: settings.listen for name, settings in self._listening()}

    def start(self, stop: threading.Event) -> None:
        """Listen until `stop` is set."""
        if self._settings.kumomta is not None:
            self._run("kumomta", partial(_serve_kumomta, self._settings.kumomta, self._given, stop))
        if self._settings.postfix is not None:
            self._run("postfix", partial(serve_postfix, self._settings.postfix, self._given.gate, self._given.clock, stop))

    def join(self) -> None:
        for thread in self._threads:
            thread.join(_END_SECONDS)

    def _listening(self) -> Sequence[tuple[str, Listening]]:
        pairs = (("kumomta", self._settings.kumomta), ("postfix", self._settings.postfix))
        return [(name, settings) for name, settings in pairs if settings is not None]

    def _run(self, name: str, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except AddressError as error:
                log.error("%s", error)  # noqa: TRY400 - it says what to change

        thread = threading.Thread(target=run, name=f"mta-{name}", daemon=True)
        thread.start()
        self._threads.append(thread)


def _serve_kumomta(settings: KumoMta, given: Given, stop: threading.Event) -> None:
    speaker = Speaker(settings, given.gate, given.store, given.clock, given.address)
    clocks = Clocks()
    publishing = Publishing(settings, given.gate, given.take, given.clock, speaker.seen, clocks)
    nodes = Nodes(settings, speaker.hub, given.take, given.clock, clocks)
    speaker.on_lifted = nodes.lifted
    app = KumoServer(settings, speaker, publishing, given.clock, (nodes.run,))
    serve(app, settings.host, settings.port, stop, connections=_CONNECTIONS, websockets=True, header_seconds=_IDLE_SECONDS,
          on_ready=lambda: log.info("KumoMTA's nodes are answered on %s", settings.listen))


def serve_postfix(
    settings: PostfixPolicy, gate: GateIndex, clock: Callable[[], datetime], stop: threading.Event,
    on_ready: Callable[[], None] | None = None,
) -> None:
    """Answer Postfix until `stop` is set; blocks."""
    ready = on_ready or (lambda: log.info("Postfix is answered on %s", settings.listen))

    async def run() -> None:
        serving = asyncio.create_task(PolicyServer(settings, gate, clock).run(ready))
        while not stop.is_set() and not serving.done():  # noqa: ASYNC110 - `stop` is set from another thread
            await asyncio.sleep(_LOOK_SECONDS)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(run())
