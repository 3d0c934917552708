"""What every route does before its own work: the key before the first byte of the body, JSON read in a worker thread.

FastAPI reads and decodes a body before it asks for any dependency, and decodes it on the event loop; so a stranger
could fill memory and hold up every decision. Here the key is asked for first, bodies are bounded (`body.py`), and
they are decoded aside. What a route may answer besides its result is worked out here too, for the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterator
from http import HTTPStatus
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from monitor.access.keys import KeyScope
from monitor.api.access import Access, Guard
from monitor.api.body import read_json_aside, received
from monitor.api.problem import MEDIA_TYPE

_ANSWERED_ANYHOW = (421, 500, 503)
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class _Request(Request):
    """A request whose JSON is decoded in a worker thread."""

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            self._json = await read_json_aside(await self.body())
        return self._json


class Route(APIRoute):
    """A route of ours. The key it needs is that of the `Guard` among its dependencies."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.responses = self.errors(_statuses(self)) | self.responses

    @staticmethod
    def errors(statuses: Collection[int]) -> dict[int | str, dict[str, Any]]:
        """What it may answer besides its result, as OpenAPI documents it."""
        return problems(*statuses)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        guards = [call for call in _calls(self.dependant) if isinstance(call, Guard)]

        async def answer(request: Request) -> Response:
            access: Access = request.app.state.access
            callers = [await guard.check(access, request) for guard in guards]
            response = await handle(_Request(request.scope, request.receive))
            if request.method not in _READING and callers and callers[0].may(KeyScope.READ):
                await to_thread.run_sync(access.store.wrote, callers[0].key_id)
            return response

        return answer


class ForeignRoute(Route):
    """A call of another program's API: its errors are in the form of that program (problem.py)."""

    @staticmethod
    def errors(statuses: Collection[int]) -> dict[int | str, dict[str, Any]]:
        return {status: {"description": HTTPStatus(status).phrase, "content": {"application/json": {}}} for status in sorted({400, *statuses})}


def new_router(tag: str, route_class: type[Route] = Route) -> APIRouter:
    """The router of one file of routes."""
    return APIRouter(tags=[tag], route_class=route_class)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Answers of these statuses as OpenAPI documents them: each a problem (RFC 9457)."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in sorted(statuses)}


def _statuses(route: APIRoute) -> set[int]:
    """What it can answer besides its result, as its parts say."""
    calls = list(_calls(route.dependant))
    statuses = set(_ANSWERED_ANYHOW)
    if any(isinstance(call, Guard) for call in calls):
        statuses |= {401, 403}
    if "{" in route.path:
        statuses |= {404, 422}
    if route.body_field is not None or received in calls:
        statuses |= {400, 408, 413, 422}
    if any(header.alias == "content-encoding" for header in route.dependant.header_params):
        statuses |= {415}
    if route.dependant.query_params or route.dependant.header_params or route.dependant.dependencies:
        statuses |= {422}
    return statuses


def _calls(dependant: Dependant) -> Iterator[Any]:
    for each in dependant.dependencies:
        yield each.call
        yield from _calls(each)
