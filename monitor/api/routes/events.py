"""`POST /v1/events/generic`: delivery events, as JSON or NDJSON, counted once however often they are sent.

With an `Idempotency-Key` a repeat is answered as the first time (with `duplicate` true) and not counted
again; the same key with another body is refused, for one of the two would be lost. Without a key every post
counts.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, Request
from pydantic import BaseModel

from collectors.delivery import generic
from collectors.observation import Batch
from monitor.access.keys import Caller
from monitor.api.access import require
from monitor.api.body import received, unpacked
from monitor.api.problem import Problem
from monitor.api.services import Services
from monitor.facts.batches import sources_taken

MOST_LINES = 200_000
_MOST_TOLD = 1000  # refused lines named in an answer
_BODIES = "events/body"  # empty batches that remember which body came under an idempotency key
router = APIRouter(tags=["events"])
_DOCUMENTED: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-ndjson": {"schema": {"type": "string"}},
            "application/json": {"schema": {"oneOf": [{"type": "object"}, {"type": "array"}]}},
        },
    }
}


class Refused(BaseModel):
    line: int
    error: str


class Counted(BaseModel):
    """What became of the lines. Refused lines are parked; the first 1,000 are named here."""

    accepted: int
    rejected: list[Refused]
    rejected_count: int
    messages: dict[str, int]
    duplicate: bool


@router.post("/v1/events/generic", openapi_extra=_DOCUMENTED)
def events(
    request: Request,
    caller: Annotated[Caller, Depends(require("events"))],
    body: Annotated[bytes, Depends(received)],
    content_encoding: Annotated[str, Header()] = "",
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> Counted:
    """Take delivery events: one JSON object, an array of them, or one per line; plain or gzip."""
    services: Services = request.app.state.services
    body = unpacked(body, content_encoding.strip().lower())
    lines = _lines(body)
    key, marks = secrets.token_hex(16), []
    if idempotency_key is not None:
        key = f"{caller.key_id}/{idempotency_key}"
        marks = [Batch(_BODIES, f"{key}/{generic.fingerprint(body)}", services.now())]
        _same_body(services, key, marks[0].key)
    decoded = generic.decode(lines, key=key, now=services.now(), customer=caller.customer)
    taken, *_ = services.take([decoded.batch, *marks])
    return Counted(
        accepted=decoded.accepted,
        rejected=[Refused(line=one.line, error=one.error) for one in decoded.errors[:_MOST_TOLD]],
        rejected_count=len(decoded.errors),
        messages=dict(decoded.messages),
        duplicate=not taken.new,
    )


def _lines(body: bytes) -> list[Any]:
    """The events: what a JSON array or object holds, else what stands line by line."""
    start = body.lstrip()[:1]
    lines: list[Any] = []
    if start == b"[":
        try:
            lines = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Problem(400, f"not JSON: {error}") from None
    elif start:
        lines = _one_object(body) or body.split(b"\n")
    if not lines:
        raise Problem(422, "no events in the body")
    if len(lines) > MOST_LINES:
        raise Problem(413, f"more than {MOST_LINES} lines; send them in parts")
    return lines


def _one_object(body: bytes) -> list[Any] | None:
    """The body as one JSON object, which may be spread over lines; None when it is something else."""
    try:
        return [orjson.loads(body)]
    except orjson.JSONDecodeError:
        return None


def _same_body(services: Services, key: str, mark: str) -> None:
    """Raise when this idempotency key was used and not with this body."""
    with services.store.reading_session() as session:
        before = sources_taken(session, [(generic.SOURCE, key), (_BODIES, mark)])
    if before == {generic.SOURCE}:
        raise Problem(422, "this Idempotency-Key was used with another body")
