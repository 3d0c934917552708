"""`POST /v1/decision` and `/v1/decisions`: answered before the framework is reached, from memory.

An ASGI function in front of FastAPI costs a fifth of a FastAPI endpoint; a sender asks before every
message, so these two calls take that way. Everything else is passed on. How they look stands in
`decision.openapi.json`, which the OpenAPI document includes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.access.bound import ForeignError
from monitor.access.keys import Caller, KeyScope
from monitor.api import problem
from monitor.api.access import Access
from monitor.api.body import bounded, read_json_aside
from monitor.api.problem import Problem
from monitor.api.services import Services
from monitor.gate import decide, read_request
from monitor.restrictions.wire import with_warnings

MOST_REQUESTS = 10_000
_LARGEST_ONE, _LARGEST_MANY = 16 * 1024, 8 * 1024 * 1024
_PAUSE_EVERY = 500  # between so many decisions of one call, others get their turn
_AS_JSON = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS
_JSON_HEADERS = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_NAMED = ("customer", "stream", "ip", "pool", "domain")
_OWNED = ("customer", "ip", "pool", "domain")
_log = logging.getLogger(__name__)


class DecisionCalls:
    """The ASGI application: decides itself, or passes on to `app`."""

    def __init__(self, app: ASGIApp, services: Services, access: Access) -> None:
        self._app, self._services, self._access = app, services, access
        self._calls = {"/v1/decision": self._one, "/v1/decisions": self._many}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = self._calls.get(scope["path"]) if scope["type"] == "http" else None
        if call is None:
            await self._app(scope, receive, send)
            return
        try:
            status, headers, body = 200, _JSON_HEADERS, await self._answer(call, scope, receive)
        except ClientDisconnect:
            return
        except ForeignError as error:
            status, headers, body = 403, _problem_headers(None), problem.body_of(403, str(error))
        except Problem as error:
            status, headers = error.status_code, _problem_headers(error)
            body = problem.body_of(status, error.detail, error.errors)
        except Exception:  # noqa: BLE001 - whatever it is, the caller gets a problem and the log the trace
            _log.exception("a decision failed")
            status, headers = 500, _problem_headers(None)
            body = problem.body_of(500, "something went wrong here; the log of the service says what")
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, call: Callable[[Any, Caller], Awaitable[bytes]], scope: Scope, receive: Receive) -> bytes:
        if scope["method"] != "POST":
            raise Problem(405, f"{scope['path']} takes POST", headers={"Allow": "POST"})
        authorization = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        caller = await self._access.require(authorization.decode("latin-1"), KeyScope.GATE)
        body = await _body(receive, _LARGEST_ONE if call == self._one else _LARGEST_MANY)
        try:
            content = await read_json_aside(body)
        except orjson.JSONDecodeError as error:
            raise Problem(400, f"not JSON: {error}") from None
        return await call(content, caller)

    async def _one(self, content: Any, caller: Caller) -> bytes:
        try:
            return orjson.dumps(self._decide(content, caller), option=_AS_JSON)
        except ForeignError:
            raise
        except ValueError as error:
            raise Problem(422, str(error)) from None

    async def _many(self, content: Any, caller: Caller) -> bytes:
        requests = content.get("requests") if isinstance(content, dict) else content
        if not isinstance(requests, list) or len(requests) > MOST_REQUESTS:
            raise Problem(422, f'wanted: {{"requests": […]}} with at most {MOST_REQUESTS} requests')
        decisions, errors = [], []
        for number, each in enumerate(requests):
            try:
                decisions.append(self._decide(each, caller))
            except ForeignError:
                raise
            except ValueError as error:
                errors.append({"at": f"requests.{number}", "error": str(error)})
            if number % _PAUSE_EVERY == _PAUSE_EVERY - 1:
                await asyncio.sleep(0)
        if errors:
            raise Problem(422, f"{len(errors)} of {len(requests)} requests are not as they should be", errors=errors[:50])
        return orjson.dumps({"decisions": decisions}, option=_AS_JSON)

    def _decide(self, content: Any, caller: Caller) -> dict[str, Any]:
        request = read_request(content)
        if caller.customer is not None:
            self._services.own(caller, {name: getattr(request, name) for name in _OWNED})
        decision = decide(request, self._services.gate.index, self._services.now())
        self._services.gate.decided[decision.decision] += 1
        about = {name: getattr(request, name) for name in _NAMED}
        unknown = self._services.gate.names.unknown(about, suggest=caller.customer is None)
        return with_warnings(decision, unknown)


async def _body(receive: Receive, most: int) -> bytes:
    body, receive = bytearray(), bounded(receive, most)
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def _problem_headers(error: Problem | None) -> list[tuple[bytes, bytes]]:
    headers = (error.headers if error else None) or {}
    stated = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return [(b"content-type", problem.MEDIA_TYPE.encode()), *stated]
