"""Feedback loops over HTTP: what we are enrolled in, where we send without one, which has fallen silent.

All of it is about the whole platform: a key bound to one customer sees none of it.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Response
from pydantic import Field

from monitor.api.access import all_customers
from monitor.api.given import NO_NUL, Given, Listed, Look, Name, Named, Operates, Reads, Reasoned, Text, Why
from monitor.api.problem import refusals
from monitor.api.route import new_router
from monitor.config.quantities import When
from monitor.database.paging import part
from monitor.feedback_loops.enrolments import Kind, State
from monitor.feedback_loops.rows import Wish, drop_enrolment, enrolments, gaps_now, set_enrolment
from monitor.feedback_loops.wire import Enrolment, Gaps, LoopVerdict
from monitor.judging.verdict_rows import FEEDBACK_LOOPS, verdicts_about

router = new_router("feedback loops")



class NewEnrolment(Reasoned):
    """How it stands. Details left out stay as they are."""

    provider: Annotated[Name, Field(examples=["yahoo"])]
    kind: Kind
    subject: str = Field(max_length=255, pattern=NO_NUL, examples=["acme.example.com"])
    state: State
    contact: Text | None = None
    note: Text | None = None
    ends_at: When | None = None


@router.get("/v1/fbl/enrolments")
def list_enrolments(look: Look, caller: Reads, listed: Listed) -> list[Enrolment]:
    """All enrolments, by provider."""
    all_customers(caller)
    with refusals():
        page = part(look(enrolments), lambda row: (row.provider, row.kind, row.subject), listed.page)
        return listed.shown(page, Enrolment)


@router.put("/v1/fbl/enrolments")
def put(services: Given, caller: Operates, wanted: NewEnrolment) -> Enrolment:
    """Say how it stands with a provider's loop for an IP, a network, a domain or our account."""
    all_customers(caller)
    wish = Wish(**wanted.model_dump(exclude={"reason"}))
    with refusals(), services.store.session() as session:
        row = set_enrolment(session, wish, actor=caller.name, reason=wanted.reason, now=services.now())
    return Enrolment.from_row(row)


@router.delete("/v1/fbl/enrolments", status_code=204)
def delete(
    services: Given, caller: Operates, provider: Named, kind: Kind, subject: Named, reason: Why
) -> Response:
    """Forget an enrolment that was entered by mistake."""
    all_customers(caller)
    with refusals(), services.store.session() as session:
        key = (provider, kind, subject)
        drop_enrolment(session, key, actor=caller.name, reason=reason, now=services.now())
    return Response(status_code=204)


@router.get("/v1/fbl/gaps")
def gaps(services: Given, caller: Reads) -> Gaps:
    """Where mail of the last seven days went without a loop, most mail first."""
    all_customers(caller)
    return Gaps.from_row(gaps_now(services.store, services.now()))


@router.get("/v1/fbl/silence")
def silence(services: Given, caller: Reads, listed: Listed) -> list[LoopVerdict]:
    """Which loops have fallen silent, speak, or cannot be judged, by provider, as they were last judged."""
    all_customers(caller)
    with services.store.reading_session() as session:
        verdicts = [LoopVerdict.shown(each) for each in verdicts_about(session, FEEDBACK_LOOPS)]
    with refusals():
        return listed.linked(part(verdicts, lambda verdict: (verdict.provider,), listed.page))
