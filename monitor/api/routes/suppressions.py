"""Suppressions: who must not be mailed again, for operators and other systems (senders: `sender.py`).

Addresses are turned into references here and kept nowhere. Lifting needs a reason and leaves the row.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from monitor.access.keys import Caller
from monitor.api.access import own_customer, require
from monitor.api.body import received, unpacked
from monitor.api.problem import Problem, refusals
from monitor.api.services import Services
from monitor.database.tables import Suppression
from monitor.suppressions import rows as suppression_rows
from monitor.suppressions.export import exported
from monitor.suppressions.lines import (
    Given,
    LinesError,
    Reason,
    read_lines,
    streams_of_customers,
    write,
)
from monitor.suppressions.rows import Asked

MOST_AT_ONCE = 10_000
MOST_IMPORTED = 200_000
_MOST_TOLD = 1000
_LARGEST_ID = 2**63 - 1
router = APIRouter(tags=["suppressions"])
Reads = Annotated[Caller, Depends(require("read"))]
Operates = Annotated[Caller, Depends(require("operate"))]
_Body = Annotated[bytes, Depends(received)]
_Customer = Annotated[str | None, Query(min_length=1, max_length=255)]
_LINES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"oneOf": [{"type": "object"}, {"type": "array"}]}},
            "application/x-ndjson": {"schema": {"type": "string"}},
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}


class Refused(BaseModel):
    line: int
    error: str


class Added(BaseModel):
    """`already`: were in force before. Refused lines change nothing; the first 1,000 are named."""

    added: int
    already: int
    rejected: list[Refused]
    rejected_count: int


class Shown(BaseModel):
    """A suppression. `stream` null: all streams. `batch_id`: of the trace and evidence it arose from."""

    id: int
    customer: str
    ref: str
    reason: str
    stream: str | None
    since: datetime
    known_at: datetime
    source: str
    how: str | None
    text: str | None
    batch_id: int | None
    lifted_at: datetime | None
    lifted_by: str | None
    lift_reason: str | None


class Wanted(BaseModel):
    """Only those with all of these; `lifted` also those no longer in force. `recipient` is an address."""

    customer: _Customer = None
    recipient: Annotated[str | None, Query(min_length=3, max_length=320)] = None
    stream: _Customer = None
    reason: Reason | None = None
    lifted: bool = False


@router.get("/v1/suppressions")
def listed(
    request: Request,
    caller: Reads,
    wanted: Annotated[Wanted, Depends()],
    *,
    before: Annotated[int | None, Query(ge=1, le=_LARGEST_ID)] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> list[Shown]:
    """Newest first. The next page: `before` the last id of this one."""
    services: Services = request.app.state.services
    customer = own_customer(caller, wanted.customer)
    with services.store.reading_session() as session:
        refs = None
        if wanted.recipient is not None:
            customers = [customer] if customer else list(streams_of_customers(session))
            refs = {each: services.store.recipient_ref(each, wanted.recipient) for each in customers}
        asked = Asked(customer, refs, wanted.stream, wanted.reason, wanted.lifted)
        return [shown(row) for row in suppression_rows.find(session, asked, limit, before)]


@router.post("/v1/suppressions", openapi_extra=_LINES)
def add(
    request: Request, caller: Operates, body: _Body, content_encoding: Annotated[str, Header()] = ""
) -> Added:
    """One (a JSON object) or up to 10,000 (an array, or one per line). They hold from the answer on."""
    return _add(request, caller, unpacked(body, content_encoding.strip().lower()), MOST_AT_ONCE)


@router.post("/v1/suppressions/import", openapi_extra=_LINES)
def take_over(
    request: Request,
    caller: Operates,
    body: _Body,
    *,
    customer: _Customer = None,
    reason: Reason = "manual",
    content_encoding: Annotated[str, Header()] = "",
) -> Added:
    """A list of up to 200,000 from elsewhere: CSV, NDJSON or one address per line. May be sent again."""
    given = own_customer(caller, customer), reason
    return _add(request, caller, unpacked(body, content_encoding.strip().lower()), MOST_IMPORTED, *given)


@router.delete("/v1/suppressions/{suppression_id}")
def lift(
    request: Request,
    suppression_id: Annotated[int, Path(ge=1, le=_LARGEST_ID)],
    reason: Annotated[str, Query(min_length=1, max_length=1000)],
    caller: Operates,
) -> Shown:
    """Allow the recipient again; the row stays with who lifted it and why."""
    services: Services = request.app.state.services
    with refusals(), services.store.session() as session:
        row = suppression_rows.lift(session, suppression_id, actor=caller.name, reason=reason, now=services.now())
        if caller.customer not in {None, row.customer}:
            raise Problem(404, f"no suppression {suppression_id}")
    return shown(row)


@router.get("/v1/suppressions/export")
def export(
    request: Request,
    caller: Reads,
    *,
    customer: _Customer = None,
    layout: Annotated[str, Query(alias="format", pattern="^(csv|ndjson)$")] = "csv",
) -> StreamingResponse:
    """All in force, as `import` takes them: references, no addresses."""
    services: Services = request.app.state.services
    kind = {"csv": "text/csv", "ndjson": "application/x-ndjson"}[layout]
    pieces = exported(services.store, own_customer(caller, customer), layout)
    return StreamingResponse(pieces, media_type=kind)


def _add(
    request: Request, caller: Caller, body: bytes, most: int, customer: str | None = None,
    reason: str = "manual",
) -> Added:
    services: Services = request.app.state.services
    store, now = services.store, services.now()
    with store.reading_session() as session:
        streams = streams_of_customers(session)
    given = Given(f"api: {caller.name}", now, streams, store.recipient_ref, customer, reason, caller.customer)
    try:
        found, refused = read_lines(body, given, most)
    except LinesError as error:
        raise Problem(422, str(error)) from None
    if not found:
        errors = [{"at": f"line {one.line}", "error": one.error} for one in refused[:_MOST_TOLD]]
        raise Problem(422, "no line can be taken", errors=errors)
    added = write(store, found, now)
    told = [Refused(line=one.line, error=one.error) for one in refused[:_MOST_TOLD]]
    return Added(added=added, already=len(found) - added, rejected=told, rejected_count=len(refused))


def shown(row: Suppression) -> Shown:
    """The row as people see it."""
    said = row.model_dump()
    return Shown.model_validate(said | {"ref": said["recipient_ref"], "stream": said["stream"] or None})
