"""What stands before every call: which host names are answered to, and headers every answer carries.

A page of a stranger can make a browser call us under the stranger's own name (DNS rebinding), past the browser's rules and
any firewall. So only known names are answered: 421 otherwise (RFC 9110, 15.5.20). A caller without a Host is no browser.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.api import problem
from monitor.api.problem import Problem

NOSNIFF = (b"x-content-type-options", b"nosniff")


class Hosts:
    """The names answered to; with `literals` also every IP address, for an address cannot be rebound."""

    def __init__(self, names: Iterable[str], *, literals: bool = False) -> None:
        self._names = frozenset(bare(name) for name in names)
        self._literals = literals
        self._seen: dict[bytes, bool] = {}  # callers repeat themselves

    def answers_to(self, host: bytes) -> bool:
        known = self._seen.get(host)
        if known is None:
            known = self._known(bare(host.decode("latin-1")))
            if len(self._seen) < 1_000:
                self._seen[host] = known
        return known

    def _known(self, name: str) -> bool:
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return self._literals or address.is_loopback or str(address) in self._names


class Front:
    """The ASGI application around the framework; what stands before it keeps to the same (monitor.api.decision)."""

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), NOSNIFF]
            await send(message)

        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if all(map(self._hosts.answers_to, hosts)):
            await self._app(scope, receive, answer)
        else:
            await _answer_misdirected(answer)


def bare(host: str) -> str:
    """A host without its port, brackets and final dot, in lower case."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, colon, port = host.rpartition(":")
    if colon and ":" not in name:  # not an IPv6 address by itself
        host = name if port.isdecimal() or not port else host
    return host.removesuffix(".")


def misdirected() -> Problem:
    return Problem(421, "this host name is not answered to; name it in api.hosts of the configuration")


async def _answer_misdirected(send: Any) -> None:
    refusal = misdirected()
    body = problem.body_of(refusal.status_code, refusal.detail)
    headers = [(b"content-type", problem.MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    start: MutableMapping[str, Any] = {"type": "http.response.start", "status": refusal.status_code, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})
