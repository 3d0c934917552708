"""Suppressions: who must not be mailed again, for operators and other systems (senders: `sender.py`).

Addresses are turned into references here and kept nowhere. Lifting needs a reason and leaves the row.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Header, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from sqlmodel import Session

from monitor.access.keys import Caller
from monitor.api.body import received, unpacked_rows
from monitor.api.given import LARGEST_ID, NO_NUL, Given, Listed, Look, MaybeNamed, Operates, Reads, Why
from monitor.api.problem import Problem, refusals
from monitor.api.route import new_router
from monitor.api.services import Services
from monitor.database.paging import Paged
from monitor.inventory.rows import streams_of_customers
from monitor.suppressions import rows as suppression_rows
from monitor.suppressions.export import exported
from monitor.suppressions.lines import (
    MOST_AT_ONCE,
    MOST_IMPORTED,
    MOST_NAMED,
    LinesError,
    read_lines,
    refs_of,
    write,
)
from monitor.suppressions.lines import (
    Given as Stated,
)
from monitor.suppressions.reasons import SuppressionReason
from monitor.suppressions.rows import Wanted
from monitor.suppressions.wire import Added, Suppression
from monitor.wire import RefusedLine

router = new_router("suppressions")
_Body = Annotated[bytes, Depends(received)]
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


class Those(BaseModel):
    """Only those with all of these; `lifted` also those no longer in force. `recipient` is an address."""

    customer: MaybeNamed = None
    recipient: Annotated[str | None, Query(min_length=3, max_length=320, pattern=NO_NUL)] = None
    stream: MaybeNamed = None
    reason: SuppressionReason | None = None
    lifted: bool = False


@router.get("/v1/suppressions")
def list_suppressions(
    services: Given, look: Look, caller: Reads, listed: Listed, those: Annotated[Those, Depends()]
) -> list[Suppression]:
    """Newest first."""
    customer = services.own(caller, {"customer": those.customer})

    def find(session: Session) -> Paged[Any]:
        refs = refs_of(services.store, session, customer, those.recipient)
        wanted = Wanted(customer, refs, those.stream, those.reason, those.lifted)
        return suppression_rows.find(session, wanted, listed.page)

    with refusals():
        return listed.shown(look(find), Suppression)


@router.post("/v1/suppressions", openapi_extra=_LINES)
def add(
    services: Given, caller: Operates, body: _Body, content_encoding: Annotated[str, Header()] = ""
) -> Added:
    """One (a JSON object) or up to 10,000 (an array, or one per line). They hold from the answer on."""
    return _add(services, caller, unpacked_rows(body, content_encoding.strip().lower()), MOST_AT_ONCE)


@router.post("/v1/suppressions/import", openapi_extra=_LINES)
def take_over(
    services: Given,
    caller: Operates,
    body: _Body,
    *,
    customer: MaybeNamed = None,
    reason: SuppressionReason = SuppressionReason.MANUAL,
    content_encoding: Annotated[str, Header()] = "",
) -> Added:
    """A list of up to 200,000 from elsewhere: CSV, NDJSON or one address per line. May be sent again."""
    given = services.own(caller, {"customer": customer}), reason
    return _add(services, caller, unpacked_rows(body, content_encoding.strip().lower()), MOST_IMPORTED, *given)


@router.delete("/v1/suppressions/{suppression_id}")
def lift(
    services: Given, caller: Operates, suppression_id: Annotated[int, Path(ge=1, le=LARGEST_ID)], reason: Why,
    customer: MaybeNamed = None,
) -> Suppression:
    """Allow the recipient again; the row stays with who lifted it and why. With `customer`, only one of that customer."""
    customer = services.own(caller, {"customer": customer})
    with refusals(), services.store.session() as session:
        row = suppression_rows.lift(
            session, suppression_id, customer, actor=caller.name, reason=reason, now=services.now()
        )
    return Suppression.from_row(row)


@router.get("/v1/suppressions/export")
def export(
    services: Given,
    caller: Reads,
    *,
    customer: MaybeNamed = None,
    layout: Annotated[str, Query(alias="format", pattern="^(csv|ndjson)$")] = "csv",
) -> StreamingResponse:
    """All in force, as `import` takes them: references, no addresses."""
    kind = {"csv": "text/csv", "ndjson": "application/x-ndjson"}[layout]
    pieces = exported(services.store, services.own(caller, {"customer": customer}), layout)
    return StreamingResponse(pieces, media_type=kind)


def _add(
    services: Services, caller: Caller, body: bytes, most: int, customer: str | None = None,
    reason: SuppressionReason = SuppressionReason.MANUAL,
) -> Added:
    store, now = services.store, services.now()
    with store.reading_session() as session:
        streams = streams_of_customers(session)
    given = Stated(f"api: {caller.name}", now, streams, store.recipient_ref, customer, reason, caller.customer)
    try:
        taken, refused = read_lines(body, given, most)
    except LinesError as error:
        raise Problem(422, str(error)) from None
    if not taken:
        errors = [{"at": f"line {each.line}", "error": each.error} for each in refused[:MOST_NAMED]]
        raise Problem(422, "no line can be taken", errors=errors)
    added = write(store, taken, now)
    rejected = RefusedLine.from_rows(refused[:MOST_NAMED])
    return Added(added=added, already=len(taken) - added, rejected=rejected, rejected_count=len(refused))
