"""What a sender needs to decide by itself: all of it (`GET /v1/gate/snapshot`), and what changes (`GET /v1/gate/stream`)."""

from __future__ import annotations

import re
import zlib
from contextlib import suppress
from typing import Annotated

from anyio import to_thread
from fastapi import Header, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from monitor.api.given import Gates, Given
from monitor.api.problem import Problem
from monitor.api.route import new_router
from monitor.api.services import Services
from monitor.api.stream import EventStream, Streams

router = new_router("gate")
_VERSIONS = re.compile(r'"([0-9]{1,18})\.[0-9a-f]{32}"')
_AWAY = {"Retry-After": "2"}
_LONGEST_PLACE = 128


@router.get("/v1/gate/snapshot", responses={304: {"description": "Nothing changed since this ETag, or `*` was sent"}})
def snapshot(
    services: Given,
    caller: Gates,
    if_none_match: Annotated[str | None, Header()] = None,
    accept_encoding: Annotated[str, Header()] = "",
) -> Response:
    """Every restriction in force, allowances, the pool of each IP, the kind of each stream and the domains of providers.

    Ask again with the ETag as If-None-Match: 304 while nothing changed. A key bound to a customer gets what
    can hold that customer back. Compressed with gzip where that is accepted.
    """
    _look(services)
    gate = services.gate
    taken, standing = gate.feed.snapshot(caller.customer, gate.stale_since)
    known = max((int(version) for version in _VERSIONS.findall(if_none_match or "")), default=0)
    if gate.stale_since is not None and known > standing.version:
        raise Problem(503, "the database does not answer, and what is known here is older than what you have", headers=_AWAY)
    headers = {"ETag": taken.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding, Authorization"}
    if if_none_match and (if_none_match.strip() == "*" or taken.etag in if_none_match):
        return Response(status_code=304, headers=headers)
    if not _accepts_gzip(accept_encoding):
        return Response(taken.body, 200, headers, "application/json")
    if taken.packed is None:
        packer = zlib.compressobj(1, wbits=31)
        taken.packed = packer.compress(taken.body) + packer.flush()
    return Response(taken.packed, 200, headers | {"Content-Encoding": "gzip"}, "application/json")


@router.get("/v1/gate/stream", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}})
async def stream(request: Request, services: Given, caller: Gates, last_event_id: Annotated[str | None, Header()] = None) -> Response:
    """Server-sent events: `snapshot` (all), `change` (what is set and what is removed), `alive` (every few seconds).

    Come back with the id of the last event as Last-Event-ID: only what changed since is sent then.
    """
    streams: Streams = request.app.state.streams
    streams.check_room(caller.customer)  # before the database is asked; the place is taken when the stream begins
    place = last_event_id if last_event_id and len(last_event_id) <= _LONGEST_PLACE else None
    await to_thread.run_sync(_look, services)
    gate = services.gate
    if gate.stale_since is not None and place and gate.feed.is_behind(place):
        raise Problem(503, "the database does not answer, and what is known here is older than what you have", headers=_AWAY)
    return EventStream(streams, caller, place)


def _look(services: Services) -> None:
    """Know all that was committed before the call came in. Raises Problem (503) where nothing is known at all."""
    with suppress(SQLAlchemyError, OSError):
        services.gate.refresh(services.store, services.now())
    if not services.gate.ready:
        raise Problem(503, "the database has not been read yet", headers=_AWAY)


def _accepts_gzip(accepted: str) -> bool:
    """RFC 9110, 12.5.3: named, or `*`, and not with a weight of nothing."""
    weights: dict[str, str] = {}
    for each in accepted.lower().split(","):
        name, _, weight = each.partition(";")
        weights[name.strip()] = weight.replace(" ", "").removeprefix("q=")
    stated = next((weights[name] for name in ("gzip", "x-gzip", "*") if name in weights), "0")
    return not stated or stated.strip("0.") != ""
