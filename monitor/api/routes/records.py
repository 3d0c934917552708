"""`POST /v1/events/kumomta`: records of MTAs, one JSON object, an array of them, or one per line; each counts once.

A record that cannot be read is parked and the rest counts: whoever posts is a machine, and would bring a refused post back for
days. The first bad lines are named. With an `Idempotency-Key` a repeat is answered as the first time.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any

import orjson
from fastapi import Depends, Header

from collectors.delivery import counting, generic, kumomta
from collectors.delivery.outcomes import Event
from collectors.observation import Subject
from monitor.access.keys import Caller
from monitor.api.body import received, unpacked_rows
from monitor.api.given import Brings, Given, remembered_as
from monitor.api.problem import Problem
from monitor.api.route import new_router
from monitor.api.routes.events import MOST_LINES, same_body
from monitor.api.services import Services
from monitor.facts.too_old import too_old
from monitor.intake.records import PREFIX, Attribution, take_records, trusted
from monitor.intake.wire import CountedRecords
from monitor.wire import RefusedLine

_MOST_NAMED = 100
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


@router.post("/v1/events/kumomta", openapi_extra=_DOCUMENTED, response_model_exclude_unset=True)
def kumomta_records(
    services: Given,
    caller: Brings,
    body: Annotated[bytes, Depends(received)],
    content_encoding: Annotated[str, Header()] = "",
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> CountedRecords:
    """Take KumoMTA's log records: one, an array of them, or one per line; plain or gzip."""
    source = PREFIX + kumomta.FORMAT
    body = unpacked_rows(body, content_encoding.strip().lower())
    lines = counting.lines_of(_records(body), kumomta.read, source)
    if not lines:
        raise Problem(422, "no records in the body")
    key, marks = secrets.token_hex(16), []
    if idempotency_key is not None:
        key = remembered_as(services, caller, idempotency_key)
        marks = [same_body(services, source, key, generic.fingerprint(body))]
    counted, taken = take_records(
        services.take, lines, source=source, key=key, now=services.now(), providers=services.gate.providers,
        whose=_whose(services, caller), trust=trusted(services.records), brought_by=f"key {caller.key_id}", marks=marks,
    )  # fmt: skip
    warnings = [*too_old(taken.batch), *dict.fromkeys(taken.refused.values())]
    return CountedRecords(
        **counted.as_counts(),
        errors=[RefusedLine(line=line, error=reason) for line, reason in counted.unreadable[:_MOST_NAMED]],
        duplicate=not taken.new,
        **({"warnings": warnings} if warnings else {}),
    )


def _whose(services: Services, caller: Caller) -> counting.Whose:
    attribution = Attribution(services.records, services.gate.names, services.gate.owners)

    def whose(event: Event, provider: str | None) -> Subject:
        """Raises ForeignError (a ValueError: the record is parked) for what this key may not name."""
        about = attribution(event, provider)
        if caller.customer is not None and about.customer is None:
            about = about._replace(customer=caller.customer)
        return services.counted(caller, about, set())

    return whose


def _records(body: bytes) -> list[bytes]:
    """Each record as it is counted: of an array or an object over several lines, written anew in one line."""
    start = body.lstrip()[:1]
    if start == b"[":
        try:
            records = [orjson.dumps(each) for each in orjson.loads(body)]
        except orjson.JSONDecodeError as error:
            raise Problem(400, f"not JSON: {error}") from None
    else:
        records = [line for line in body.split(b"\n") if line.strip()]
        if len(records) > 1 and (whole := _one_object(body)) is not None:
            records = [whole]
    if len(records) > MOST_LINES:
        raise Problem(413, f"more than {MOST_LINES} records; send them in parts")
    return records


def _one_object(body: bytes) -> bytes | None:
    try:
        return orjson.dumps(orjson.loads(body))
    except orjson.JSONDecodeError:
        return None
