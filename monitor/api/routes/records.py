"""`POST /v1/events/FORMAT`: records of MTAs as each writes them; each counts once.

KumoMTA's are one JSON object, an array of them, or one per line; PowerMTA's are CSV with its header line; logs are lines.

A record that cannot be read is parked and the rest counts: whoever posts is a machine, and would bring a refused post back for
days. The first bad lines are named. With an `Idempotency-Key` a repeat is answered as the first time.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any

import orjson
from fastapi import Depends, Header

from collectors.delivery import counting, generic
from collectors.delivery.formats import FORMATS, Format
from collectors.delivery.outcomes import Event
from collectors.observation import Subject
from monitor.access.keys import Caller
from monitor.api.body import received, unpacked_rows
from monitor.api.given import Brings, Given, remembered_as
from monitor.api.pressure import ADMITTED
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


def _documented(shape: Format) -> dict[str, Any]:
    content: dict[str, Any] = {"text/plain": {"schema": {"type": "string"}}}
    if shape.json:
        content = {
            "application/x-ndjson": {"schema": {"type": "string"}},
            "application/json": {"schema": {"oneOf": [{"type": "object"}, {"type": "array"}]}},
        }
    return {"requestBody": {"required": True, "content": content}}


def _route(name: str, shape: Format) -> None:
    def records(
        services: Given,
        caller: Brings,
        body: Annotated[bytes, Depends(received)],
        content_encoding: Annotated[str, Header()] = "",
        idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
    ) -> CountedRecords:
        return _taken(name, services, caller, unpacked_rows(body, content_encoding.strip().lower()), idempotency_key)

    router.post(
        f"/v1/events/{name}", name=f"{name}_records", description=f"Take {shape.words}; plain, gzip or zstd.", openapi_extra=_documented(shape),
        response_model_exclude_unset=True, dependencies=[ADMITTED],
    )(records)  # fmt: skip


for _name, _shape in FORMATS.items():
    _route(_name, _shape)


def _taken(name: str, services: Services, caller: Caller, body: bytes, idempotency_key: str | None) -> CountedRecords:
    source = PREFIX + name
    given = _objects(body) if FORMATS[name].json else body.split(b"\n")
    if len(given) > MOST_LINES:
        raise Problem(413, f"more than {MOST_LINES} records; send them in parts")
    lines = services.readings.lines(name, str(caller.key_id), given, source, services.now())
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


def _objects(body: bytes) -> list[bytes]:
    """Each record as it is counted: of an array or an object over several lines, written anew in one line."""
    if body.lstrip()[:1] == b"[":
        try:
            return [orjson.dumps(each) for each in orjson.loads(body)]
        except orjson.JSONDecodeError as error:
            raise Problem(400, f"not JSON: {error}") from None
    records = body.split(b"\n")
    if len(records) > 1 and (whole := _one_object(body)) is not None:
        return [whole]
    return records


def _one_object(body: bytes) -> bytes | None:
    try:
        return orjson.dumps(orjson.loads(body))
    except orjson.JSONDecodeError:
        return None
