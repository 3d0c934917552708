"""`POST /v1/decision` and `/v1/decisions`: answered before the framework and all else is reached, from memory.

A sender asks before every message, so these two calls cost little more than the server itself: a request seen before is not
read again, what meets it is found once (monitor.gate.matching), and its reasons are encoded once. Host names, keys, limits
and problems are those of every other call. How they look stands in `decision.openapi.json`, which the OpenAPI document includes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.access.bound import ForeignError
from monitor.access.keys import Caller, KeyScope
from monitor.api import problem
from monitor.api.access import Access
from monitor.api.body import bounded, read_json, read_json_aside, too_large
from monitor.api.deadline import Deadlines
from monitor.api.front import NOSNIFF, Hosts, misdirected
from monitor.api.problem import Problem
from monitor.api.services import Services
from monitor.gate import Request, answer, matching, read_request
from monitor.inventory.known import KnownNames
from monitor.inventory.owners import Owners
from monitor.restrictions.wire import encoded

MOST_REQUESTS = 10_000
ONE, MANY = "/v1/decision", "/v1/decisions"
_LARGEST = {ONE: 16 * 1024, MANY: 8 * 1024 * 1024}
_PAUSE_EVERY = 500  # between so many decisions of one call, others get their turn
_MOST_REMEMBERED, _LONGEST_REMEMBERED = 8_192, 1_024  # requests, and bytes of one
_JSON_HEADERS: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"), NOSNIFF)
_NAMED = ("customer", "stream", "ip", "pool", "domain")
_OWNED = ("customer", "ip", "pool", "domain")
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Read:
    """A request that was read, and what the inventory as it was then says of its names."""

    request: Request
    names: KnownNames
    owners: Owners
    unknown: list[str]


class DecisionCalls:
    """The outermost ASGI application: decides itself, or passes on to `app`.

    `stopping` is called when no more will be answered: it ends what would go on for ever.
    """

    def __init__(
        self, app: ASGIApp, services: Services, access: Access, hosts: Hosts, stopping: Callable[[], None]
    ) -> None:
        self.stopping = stopping
        self._app, self._services, self._access, self._hosts = app, services, access, hosts
        self._deadlines = Deadlines()
        self._remembered: dict[tuple[bytes, str | None], _Read] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in _LARGEST:
            await self._app(scope, receive, send)
            return
        try:
            headers = _JSON_HEADERS
            status, body = 200, await self._answer(scope, receive)
        except ClientDisconnect:  # gone, or what came was no body: whoever still reads is given an answer
            status, headers, body = 400, _problem_headers(None), problem.body_of(400, problem.CUT_SHORT)
        except ForeignError as error:
            status, headers, body = 403, _problem_headers(None), problem.body_of(403, str(error))
        except Problem as error:
            status, headers = error.status_code, _problem_headers(error)
            body = problem.body_of(status, error.detail, error.errors)
        except Exception:  # noqa: BLE001 - whatever it is, the caller gets a problem and the log the trace
            _log.exception("a decision failed")
            status, headers = 500, _problem_headers(None)
            body = problem.body_of(500, "something went wrong here; the log of the service says what")
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> bytes:
        path, authorization, length = scope["path"], b"", b""
        for name, value in scope["headers"]:
            if name == b"host":
                if not self._hosts.answers_to(value):
                    raise misdirected()
            elif name == b"authorization":
                authorization = authorization or value
            elif name == b"content-length":
                length = value
        if scope["method"] != "POST":
            raise Problem(405, f"{path} takes POST", headers={"Allow": "POST"})
        caller = await self._access.require(authorization.decode("latin-1"), KeyScope.GATE)
        body = await self._body(receive, _LARGEST[path], length)
        try:
            if path == ONE:
                return self._one(body, caller)
            return await self._many(await read_json_aside(body), caller)
        except orjson.JSONDecodeError as error:
            raise Problem(400, f"not JSON: {error}") from None

    async def _body(self, receive: Receive, most: int, length: bytes) -> bytes:
        """Most come in one piece, which is all where it is as long as the caller said; waiting for the server to say so
        too would cost as much as all else. Of what does not, each piece has its own time.
        """
        waiting = self._deadlines.begin()
        try:
            message = await receive()
        except asyncio.CancelledError:
            late = self._deadlines.too_late(waiting)
            if late is None:
                raise
            raise late from None
        finally:
            self._deadlines.end(waiting)
        if message["type"] != "http.request":
            raise ClientDisconnect
        body = bytes(message.get("body", b""))
        if len(body) > most:
            raise too_large(most)
        if not message.get("more_body") or (body and length == b"%d" % len(body)):
            return body
        return body + await _rest(receive, most, len(body))

    def _one(self, body: bytes, caller: Caller) -> bytes:
        key = (body, caller.customer)
        read, gate = self._remembered.get(key), self._services.gate
        if read is None or read.names is not gate.names or read.owners is not gate.owners:
            try:
                read = self._reading(read_json(body), caller)
            except (ForeignError, orjson.JSONDecodeError):
                raise
            except ValueError as error:
                raise Problem(422, str(error)) from None
            if len(body) <= _LONGEST_REMEMBERED:
                if len(self._remembered) >= _MOST_REMEMBERED:
                    self._remembered.clear()
                self._remembered[key] = read
        return self._decide(read)

    async def _many(self, content: Any, caller: Caller) -> bytes:
        requests = content.get("requests") if isinstance(content, dict) else content
        if not isinstance(requests, list) or len(requests) > MOST_REQUESTS:
            raise Problem(422, f'wanted: {{"requests": […]}} with at most {MOST_REQUESTS} requests')
        decisions, errors = [], []
        for number, each in enumerate(requests):
            try:
                decisions.append(self._decide(self._reading(each, caller)))
            except ForeignError:
                raise
            except ValueError as error:
                errors.append({"at": f"requests.{number}", "error": str(error)})
            if number % _PAUSE_EVERY == _PAUSE_EVERY - 1:
                await asyncio.sleep(0)
        if errors:
            raise Problem(422, f"{len(errors)} of {len(requests)} requests are not as they should be", errors=errors[:50])
        return b'{"decisions":[%s]}' % b",".join(decisions)

    def _reading(self, content: Any, caller: Caller) -> _Read:
        """Raises ValueError, and ForeignError for what is another customer's."""
        names, owners = self._services.gate.names, self._services.gate.owners
        request = read_request(content)
        if caller.customer is not None:
            self._services.own(caller, {name: getattr(request, name) for name in _OWNED})
        about = {name: getattr(request, name) for name in _NAMED}
        return _Read(request, names, owners, names.unknown(about, suggest=caller.customer is None))

    def _decide(self, read: _Read) -> bytes:
        index, now = self._services.gate.index, self._services.now()
        match = matching(read.request, index, now)
        decision = answer(match, index, now)
        self._services.gate.decided[decision.decision] += 1
        return encoded(decision, match, read.unknown)


async def _rest(receive: Receive, most: int, had: int) -> bytes:
    body, receive = bytearray(), bounded(receive, most - had)
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def _problem_headers(error: Problem | None) -> tuple[tuple[bytes, bytes], ...]:
    headers = (error.headers if error else None) or {}
    stated = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return (b"content-type", problem.MEDIA_TYPE.encode()), *stated, NOSNIFF
