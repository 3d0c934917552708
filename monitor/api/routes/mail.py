"""Mail by HTTP. `POST /v1/mail`: one report, bounce or letter, as a mail server or a pipe hands it over; counted once.

The answer says what the mail was taken for. A mail that cannot be used is parked and answered with 200 all the
same: whoever hands it over must not try again for ever. Only when nothing could be stored is the answer an
error, and the mail must be kept and sent again. `GET /v1/parked` lists what was parked.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import BaseModel

from collectors.contract import Reason
from collectors.report_mail.facts import SOURCE, arrived_at
from monitor.access.keys import Caller
from monitor.api.access import all_customers, require
from monitor.api.body import received, unpacked
from monitor.api.problem import Problem
from monitor.api.services import Services
from monitor.facts.parked import ParkedInput, find_parked

LARGEST = 25_000_000  # what the parsers look at
router = APIRouter(tags=["mail"])
_DOCUMENTED: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"message/rfc822": {"schema": {"type": "string", "format": "binary"}}}}
}


class TakenMail(BaseModel):
    """What became of the mail. `reason` (a word) and `text` say why it was parked."""

    kind: str
    accepted: bool
    duplicate: bool
    parked: bool
    reason: str | None = None
    text: str | None = None


@router.post("/v1/mail", openapi_extra=_DOCUMENTED)
def mail(
    request: Request,
    caller: Annotated[Caller, Depends(require("events"))],
    body: Annotated[bytes, Depends(received)],
    source: Annotated[str, Query(description="a mailbox of the inventory, or feedback_loop, bounces, …")],
    content_encoding: Annotated[str, Header()] = "",
) -> TakenMail:
    """Take one mail (message/rfc822; gzip as Content-Encoding), or a DMARC, TLS or X-ARF report by itself."""
    all_customers(caller)  # whose mail it is about is for the mail to say
    services: Services = request.app.state.services
    raw = unpacked(body, content_encoding.strip().lower())
    if len(raw) > LARGEST:
        raise Problem(413, f"the mail is larger than {LARGEST} bytes")
    if services.read_mail is None:
        raise Problem(503, "this process takes no mail")
    try:
        report, batch = services.read_mail(raw, source, f"posted by {caller.name}", arrived_at(raw, services.now()))
    except LookupError as error:
        raise Problem(422, str(error)) from None
    (taken,) = services.take([batch])
    parked = next(iter(batch.parked), None)
    return TakenMail(
        kind=report.kind, accepted=parked is None, duplicate=not taken.new, parked=parked is not None,
        reason=parked and parked.reason, text=parked and parked.text,
    )


@router.get("/v1/parked")
def parked(
    request: Request,
    caller: Annotated[Caller, Depends(require("read"))],
    reason: Reason | None = None,
    settled: bool = False,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> list[ParkedInput]:
    """Mails that could not be used, the oldest first: those nobody has settled yet, or with `settled` all."""
    all_customers(caller)
    services: Services = request.app.state.services
    with services.store.reading_session() as session:
        return find_parked(session, SOURCE, reason=reason, settled=settled, limit=limit)
