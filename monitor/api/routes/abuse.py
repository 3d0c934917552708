"""Abuse cases over HTTP: what was reported, whose turn it is, until when.

A key bound to a customer sees that customer's cases and may leave notes in them; to assign and to close takes a key
of the whole platform.
"""

from __future__ import annotations

from pydantic import Field
from sqlmodel import Session

from monitor.abuse import rows as abuse_rows
from monitor.abuse.cases import Turn
from monitor.abuse.rows import Assignment, Shown
from monitor.abuse.wire import AbuseCase, CaseHistory
from monitor.access.keys import Caller
from monitor.api.access import all_customers
from monitor.api.given import NO_NUL, Body, Given, Listed, Look, MaybeNamed, Name, Operates, Reads
from monitor.api.problem import refusals
from monitor.api.route import new_router

router = new_router("abuse")


class CaseNote(Body):
    """Why; of a note, the note itself."""

    reason: str = Field(min_length=1, max_length=4000, pattern=NO_NUL)


class NewAssignment(CaseNote):
    """What to change; what is left out stays. `waits_for` opens a closed case again."""

    waits_for: Turn | None = None
    customer: Name | None = None
    assignee: Name | None = None
    kind: Name | None = None


@router.get("/v1/abuse/cases")
def cases(
    services: Given, look: Look, caller: Reads, listed: Listed, *, show: Shown = Shown.OPEN, customer: MaybeNamed = None
) -> list[AbuseCase]:
    """Cases: open and overdue ones by their deadline, closed ones and all by the newest."""
    customer = services.own(caller, {"customer": customer})
    now = services.now()
    with refusals():
        cases = look(lambda session: abuse_rows.cases(session, now, show, customer=customer, page=listed.page))
        return listed.shown(cases, AbuseCase)


@router.get("/v1/abuse/cases/{case_id}")
def case(look: Look, caller: Reads, case_id: str) -> CaseHistory:
    """One case and what was done, oldest first."""

    def history(session: Session) -> CaseHistory:
        _visible(session, case_id, caller)
        return CaseHistory.model_validate(
            {"case": abuse_rows.case(session, case_id), "transitions": abuse_rows.history(session, case_id)}
        )

    with refusals():
        return look(history)


@router.post("/v1/abuse/cases/{case_id}/assign")
def assign(services: Given, caller: Operates, case_id: str, wanted: NewAssignment) -> AbuseCase:
    """Say whose turn it is, whose mail it was, who looks after it, what it is about."""
    all_customers(caller)
    change = Assignment(**wanted.model_dump(exclude={"reason"}))
    with refusals(), services.store.session() as session:
        row = abuse_rows.assign(
            session, case_id, change, actor=caller.name, reason=wanted.reason, now=services.now()
        )
    return AbuseCase.from_row(row)


@router.post("/v1/abuse/cases/{case_id}/close")
def close(services: Given, caller: Operates, case_id: str, why: CaseNote) -> AbuseCase:
    """Say that nothing is left to do."""
    all_customers(caller)
    with refusals(), services.store.session() as session:
        row = abuse_rows.close(session, case_id, actor=caller.name, reason=why.reason, now=services.now())
    return AbuseCase.from_row(row)


@router.post("/v1/abuse/cases/{case_id}/note")
def note(services: Given, caller: Operates, case_id: str, why: CaseNote) -> AbuseCase:
    """Leave a note."""
    with refusals(), services.store.session() as session:
        _visible(session, case_id, caller)
        row = abuse_rows.note(session, case_id, actor=caller.name, reason=why.reason, now=services.now())
    return AbuseCase.from_row(row)


def _visible(session: Session, case_id: str, caller: Caller) -> None:
    """Raise unless the case is there; another customer's is not."""
    if caller.customer not in {None, abuse_rows.case(session, case_id).customer}:
        raise LookupError(f"no abuse case {case_id}")
