"""Mail by HTTP. `POST /v1/mail`: one report, bounce or letter, as a mail server or a pipe hands it over; counted once.

The answer says what the mail was taken for. A mail that cannot be used is parked and answered with 200 all the
same: whoever hands it over must not try again for ever. Only when nothing could be stored is the answer an
error, and the mail must be kept and sent again. `GET /v1/parked` lists what was parked.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Header, Query

from collectors.contract import Reason
from collectors.report_mail.facts import SOURCE, arrived_at
from monitor.api.access import all_customers
from monitor.api.body import received, unpacked
from monitor.api.given import NO_NUL, Brings, Given, Listed, Look, Reads
from monitor.api.problem import Problem, refusals
from monitor.api.route import new_router
from monitor.facts.parked import find_parked
from monitor.facts.wire import Parked
from monitor.intake.wire import MailTaken

LARGEST = 25_000_000  # what the parsers look at
router = new_router("mail")
_DOCUMENTED: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"message/rfc822": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.post("/v1/mail", openapi_extra=_DOCUMENTED)
def mail(
    services: Given,
    caller: Brings,
    body: Annotated[bytes, Depends(received)],
    source: Annotated[str, Query(
        max_length=255, pattern=NO_NUL, description="a mailbox of the inventory, or feedback_loop, bounces, …"
    )],
    content_encoding: Annotated[str, Header()] = "",
) -> MailTaken:
    """Take one mail (message/rfc822; gzip as Content-Encoding), or a DMARC, TLS or X-ARF report by itself."""
    all_customers(caller)  # whose mail it is about is for the mail to say
    raw = unpacked(body, content_encoding.strip().lower())
    if len(raw) > LARGEST:
        raise Problem(413, f"the mail is larger than {LARGEST} bytes")
    if services.read_mail is None:
        raise Problem(503, "this process takes no mail")
    try:
        report, batches = services.read_mail(raw, source, f"posted by {caller.name}", arrived_at(raw, services.now()))
    except LookupError as error:
        raise Problem(422, str(error)) from None
    taken = services.take(batches)
    parked = next((parked for each in taken for parked in each.batch.parked), None)
    return MailTaken(
        kind=report.kind, accepted=parked is None, duplicate=not any(each.new for each in taken), parked=parked is not None,
        reason=parked and parked.reason, text=parked and parked.text,
    )


@router.get("/v1/parked")
def parked(
    look: Look, caller: Reads, listed: Listed, *, reason: Reason | None = None, settled: bool = False
) -> list[Parked]:
    """Mails that could not be used, the oldest first: those nobody has settled yet, or with `settled` all."""
    all_customers(caller)
    with refusals():
        mails = look(lambda session: find_parked(session, SOURCE, listed.page, reason=reason, settled=settled))
        return listed.shown(mails, Parked)
