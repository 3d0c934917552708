"""`POST /v1/events/generic`: delivery events, as JSON or NDJSON, counted once however often they are sent.

With an `Idempotency-Key` a repeat is answered as the first time (with `duplicate` true) and not counted
again; the same key with another body is refused, for one of the two would be lost. Without a key every post
counts.
"""

from __future__ import annotations

import secrets
from itertools import chain, islice
from typing import Annotated, Any

import orjson
from fastapi import Depends, Header

from collectors.delivery import generic
from collectors.observation import Batch
from monitor.access.keys import Caller
from monitor.api.body import received, unpacked_rows
from monitor.api.given import Brings, Given, remembered_as
from monitor.api.pressure import ADMITTED
from monitor.api.problem import Problem
from monitor.api.route import new_router
from monitor.api.services import Services
from monitor.facts.batches import sources_taken
from monitor.facts.series_ids import SeriesKey
from monitor.facts.series_limit import refused_before
from monitor.facts.too_old import too_old
from monitor.intake.wire import CountedEvents
from monitor.wire import RefusedLine

MOST_LINES = 200_000
_MOST_NAMED = 1000  # refused lines named in an answer
_MOST_IN_PROBLEM = 50
_MOST_WARNINGS = 20
_NAMED = ("customer", "stream", "ip", "domain")
_BODIES = "events/body"  # empty batches that remember which body came under an idempotency key
router = new_router("events")
_DOCUMENTED: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-ndjson": {"schema": {"type": "string"}},
            "application/json": {"schema": {"oneOf": [{"type": "object"}, {"type": "array"}]}},
        },
    }
}


@router.post("/v1/events/generic", openapi_extra=_DOCUMENTED, response_model_exclude_unset=True, dependencies=[ADMITTED])
def events(
    services: Given,
    caller: Brings,
    body: Annotated[bytes, Depends(received)],
    content_encoding: Annotated[str, Header()] = "",
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> CountedEvents:
    """Take delivery events: one JSON object, an array of them, or one per line; plain, gzip or zstd."""
    body = unpacked_rows(body, content_encoding.strip().lower())
    lines = _lines(body)
    key, marks = secrets.token_hex(16), []
    if idempotency_key is not None:
        key = remembered_as(services, caller, idempotency_key)
        marks = [same_body(services, generic.SOURCE, key, generic.fingerprint(body))]
    left_out: set[str] = set()
    decoded = generic.decode(
        lines, key=key, now=services.now(), providers=services.gate.providers, customer=caller.customer,
        counted=lambda subject: services.counted(caller, subject, left_out), brought_by=f"key {caller.key_id}",
    )
    taken, *_ = services.take([decoded.batch, *marks])
    understood = decoded.accepted
    decoded = decoded.without(taken.refused if taken.new else _refused_before(services, key))
    if decoded.errors and not decoded.accepted:
        refused = [{"at": f"line {row.line}", "error": row.error} for row in decoded.errors[:_MOST_IN_PROBLEM]]
        raise Problem(422, f"none of the {len(decoded.errors):,} lines {'was counted' if understood else 'could be read'}", errors=refused)
    return CountedEvents(
        accepted=decoded.accepted,
        rejected=RefusedLine.from_rows(decoded.errors[:_MOST_NAMED]),
        rejected_count=len(decoded.errors),
        messages=dict(decoded.messages),
        duplicate=not taken.new,
        **({"warnings": warnings} if (warnings := too_old(taken.batch) + _warnings(services, caller, decoded.batch, left_out)) else {}),
    )


def _refused_before(services: Services, key: str) -> dict[SeriesKey, str]:
    """What was not counted when these events came first: they are counted neither now nor by a repeat."""
    with services.store.reading_session() as session:
        return refused_before(session, generic.SOURCE, key)


def _warnings(services: Services, caller: Caller, batch: Batch, left_out: set[str]) -> list[str]:
    """Names in the events that the inventory does not know, or that are left out of the counts, once each."""
    abouts = dict.fromkeys(tuple(getattr(each.subject, name) for name in _NAMED) for each in batch.observations)
    known, suggest = services.gate.names, caller.customer is None
    faults = (known.unknown(dict(zip(_NAMED, about, strict=True)), suggest=suggest) for about in abouts)
    return list(islice(dict.fromkeys(chain(sorted(left_out), *faults)), _MOST_WARNINGS))


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


def same_body(services: Services, source: str, key: str, fingerprint: str) -> Batch:
    """The empty batch that remembers this body. Raises Problem when the idempotency key was used with another one."""
    mark = f"{key}/{fingerprint}"
    with services.store.reading_session() as session:
        before = sources_taken(session, [(source, key), (_BODIES, mark)])
    if before == {source}:
        raise Problem(422, "this Idempotency-Key was used with another body")
    return Batch(_BODIES, mark, services.now())
