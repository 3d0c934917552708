"""Serves the application over HTTP in this process: granian's embedded server on uvloop, until it is to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
import threading
from collections.abc import Callable
from errno import EADDRINUSE
from functools import partial
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server
from starlette.types import ASGIApp

try:
    import resource
except ImportError:  # there is none for Windows
    resource = None  # type: ignore[assignment]

log = logging.getLogger(__name__)
_STOP_SECONDS = 10  # how long requests under way may take to end
_LOOK_SECONDS = 0.05
CONNECTIONS = 500
# how long a connection may take over the headers of a request, and idle between two; bodies: body.py
HEADER_SECONDS = 20
_OTHER_FILES = 500  # database, sockets of collectors
# what granian has to say goes where the process logs, through handlers it does not touch
_LOGGING: dict[str, Any] = {"incremental": True, "handlers": {}, "formatters": {}, "loggers": {"_granian": {}}}


class AddressError(OSError):
    """The address cannot be listened on; the text says why."""


def serve(
    app: ASGIApp, host: str, port: int, stop: threading.Event, *, connections: int = CONNECTIONS,
    on_ready: Callable[[], None] | None = None, websockets: bool = False, header_seconds: int = HEADER_SECONDS,
) -> None:
    """Answer until `stop` is set; blocks. Raises AddressError at once when the address cannot be had.

    At most `connections` are open at once, half-open and idle ones too; others wait until one of these ends.
    `on_ready` is called when the first request would be answered; without one the address is printed.
    """
    address = _address(host, port)
    if on_ready is None:
        shown = f"[{host}]" if ":" in host else host
        on_ready = partial(print, f"Vigie answers on http://{shown}:{port}", file=sys.stderr, flush=True)
    with asyncio.Runner(loop_factory=_loop) as runner:
        server = _server(app, (address, port), connections, websockets=websockets, header_seconds=header_seconds)
        runner.run(_serve(server, (address, port), stop, on_ready, getattr(app, "stopping", _nothing)))


def check_address(host: str, port: int, setting: str = "api.listen") -> None:
    """Raises AddressError where `serve` would: before anything else is started that would have to be ended again."""
    _address(host, port, setting)


def _address(host: str, port: int, setting: str = "api.listen") -> str:
    """The IP address of this host. Raises AddressError unless it can be listened on.

    granian shares its port (SO_REUSEPORT), so a second server would get half of the requests, silently.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
            return str(address[0])
    except OSError as error:
        reason = f"cannot listen on {host}:{port}: {error.strerror or error}"
        raise AddressError(f"{reason} — another Vigie? change {setting}" if error.errno == EADDRINUSE else reason) from None


def _server(app: ASGIApp, address: tuple[str, int], connections: int, *, websockets: bool, header_seconds: int) -> Callable[[], Server]:
    """Made once there is a loop: granian looks for it."""

    def made() -> Server:
        server = Server(
            app, *address, interface=Interfaces.ASGI, http=HTTPModes.http1, websockets=websockets, backlog=1024,
            backpressure=connections,  # granian accepts no connection beyond
            http1_settings=HTTP1Settings(header_read_timeout=header_seconds * 1000),
            log_level=LogLevels.error, log_dictconfig=_LOGGING,
        )
        server.workers_kill_timeout = _STOP_SECONDS
        return server

    _allow_files(connections)
    return made


async def _serve(
    made: Callable[[], Server], address: tuple[str, int], stop: threading.Event, on_ready: Callable[[], None],
    stopping: Callable[[], None],
) -> None:
    host, port = address
    server = made()
    serving = asyncio.create_task(server.serve())
    ready = asyncio.create_task(_when_ready(host, port, on_ready))
    while not stop.is_set() and not serving.done():  # noqa: ASYNC110 - `stop` is set from another thread
        await asyncio.sleep(_LOOK_SECONDS)
    ready.cancel()
    if not serving.done():
        stopping()  # granian waits for every response to end
        server.stop()  # type: ignore[no-untyped-call]  # granian has no annotation here
    await serving
    if not stop.is_set():
        raise AddressError(f"the server on {host}:{port} ended; the log says why")


def _nothing() -> None:
    """Nothing goes on for ever (`monitor.api.decision.DecisionCalls.stopping`)."""


def _allow_files(connections: int) -> None:
    """Each connection is a file: so many connections must not leave none to the database."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        if most < wanted:
            log.warning("%d connections need %d open files, and %d are allowed: lower api.connections or raise the limit "
                        "(LimitNOFILE)", connections, wanted, most)


async def _when_ready(host: str, port: int, on_ready: Callable[[], None]) -> None:
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            break
        await asyncio.sleep(_LOOK_SECONDS)
    on_ready()


def _loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop  # noqa: PLC0415 - there is none for Windows

    return uvloop.new_event_loop()
