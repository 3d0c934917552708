"""The policy server: connections that stay, one request after the other on each (`check_policy_service inet:HOST:PORT`).

On trouble nothing is answered and the connection closed: Postfix tries again, and then does what its
`smtpd_policy_service_default_action` says (451, unless it was changed).
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable
from datetime import datetime

from monitor.config.mta import PostfixPolicy
from monitor.mta.postfix.request import (
    LONGEST_LINE,
    MOST_LINES,
    NoRequestError,
    action,
    asked_of,
    read_request,
)
from monitor.restrictions.follow import GateIndex

log = logging.getLogger(__name__)
MOST_CONNECTIONS = 2_000
IDLE_SECONDS = 1_200  # Postfix keeps one for smtpd_policy_service_max_ttl, 1,000 s


class PolicyServer:
    """`run` answers until it is cancelled."""

    def __init__(self, settings: PostfixPolicy, gate: GateIndex, clock: Callable[[], datetime]) -> None:
        self._settings, self._gate, self._clock = settings, gate, clock
        self._open: set[asyncio.Task[None]] = set()

    async def run(self, ready: Callable[[], None]) -> None:
        server = await asyncio.start_server(self._accept, self._settings.host, self._settings.port, limit=LONGEST_LINE)
        ready()
        try:
            await server.serve_forever()
        finally:
            server.close()
            for task in self._open:
                task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            if len(self._open) <= MOST_CONNECTIONS and self._is_allowed(writer):
                await self._converse(reader, writer)
        except (NoRequestError, ValueError, asyncio.IncompleteReadError) as error:
            log.info("a policy connection is closed: %s", error)
        except (TimeoutError, OSError):
            pass
        finally:
            self._open.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (lines := await _lines(reader)) is not None:
            writer.write(f"action={self.answer(lines)}\n\n".encode("ascii"))
            await writer.drain()

    def answer(self, lines: list[bytes]) -> str:
        """Raises NoRequestError."""
        gate = self._gate
        request = asked_of(read_request(lines), gate.owners, gate.names)
        return action(request, gate.index if gate.ready else None, self._clock(), self._settings.when_away)

    def _is_allowed(self, writer: asyncio.StreamWriter) -> bool:
        peer = writer.get_extra_info("peername")
        address = ipaddress.ip_address(str(peer[0]).partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._settings.networks)


async def _lines(reader: asyncio.StreamReader) -> list[bytes] | None:
    """One request without its empty line; None where the connection ended before one began."""
    lines: list[bytes] = []
    while True:
        async with asyncio.timeout(IDLE_SECONDS):
            line = await reader.readline()  # ValueError: too long
        if not line and not lines:
            return None
        if not line.endswith(b"\n"):
            raise NoRequestError("it is cut short")
        line = line.rstrip(b"\r\n")
        if not line:
            return lines
        lines.append(line)
        if len(lines) > MOST_LINES:
            raise NoRequestError(f"it has more than {MOST_LINES} attributes")
