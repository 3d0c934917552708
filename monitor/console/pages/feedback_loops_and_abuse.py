"""The pages of the delivery cell's own work: feedback loops to enrol in, and abuse cases."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse

from monitor.abuse.rows import Shown, case, cases, history
from monitor.console.page import Console, Renderer
from monitor.database.paging import Page
from monitor.feedback_loops.rows import enrolments, gaps_now
from monitor.inventory.providers import read_providers
from monitor.judging.verdict_rows import FEEDBACK_LOOPS, verdicts_about

_MOST_CASES, _MOST_CLOSED = 500, 50


def feedback_loop_and_abuse_pages(console: Console, render: Renderer) -> APIRouter:
    """`/fbl`, `/abuse` and `/abuse/{id}`."""
    router = APIRouter(default_response_class=HTMLResponse)

    @router.get("/fbl")
    def fbl(request: Request) -> HTMLResponse:
        now, look = console.now(), console.looking(request)
        enrolled, known, verdicts = look(
            lambda session: (enrolments(session), read_providers(session).rows, verdicts_about(session, FEEDBACK_LOOPS))
        )
        names = {provider.id: provider.name for provider in known.values()}
        covered = gaps_now(console.store, now)
        return render(
            "fbl.html", now, as_of=look.as_of, enrolments=enrolled, verdicts=verdicts, coverage=covered, names=names
        )

    @router.get("/abuse")
    def abuse(request: Request) -> HTMLResponse:
        now, look = console.now(), console.looking(request)
        open_ones, closed = look(lambda session: (
            cases(session, now, page=Page(_MOST_CASES)).rows,
            cases(session, now, Shown.CLOSED, page=Page(_MOST_CLOSED)).rows,
        ))
        return render("abuse.html", now, as_of=look.as_of, open=open_ones, closed=closed)

    @router.get("/abuse/{case_id}")
    def abuse_case(request: Request, case_id: str) -> HTMLResponse:
        look = console.looking(request)
        try:
            row, changes = look(lambda session: (case(session, case_id), history(session, case_id)))
        except LookupError as error:
            raise HTTPException(404, str(error)) from None
        return render("abuse_case.html", console.now(), as_of=look.as_of, case=row, changes=changes[::-1])

    return router
