"""The console's first pages: what is wrong now and why, its incidents, the runs of the collectors."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse
from sqlmodel import Session

from monitor.console.overview import take_picture, trouble
from monitor.console.page import Console, Renderer
from monitor.console.pages.feedback_loops_and_abuse import feedback_loop_and_abuse_pages
from monitor.database.transitions import newest_transitions
from monitor.facts.runs import newest_runs
from monitor.incidents.rows import incident_named, newest_incidents
from monitor.notify.outbox import newest_notifications
from monitor.restrictions.rows import of_incidents

_REFRESH_SECONDS = 5
_MOST_RUNS, _MOST_INCIDENTS, _MOST_CHANGES, _MOST_SUSPENSIONS, _MOST_MESSAGES = 200, 200, 500, 1000, 100


def build_pages(console: Console) -> APIRouter:
    """The routes; who may see them is decided by whoever includes them."""
    router = APIRouter(default_response_class=HTMLResponse)
    rules = {rule.id: rule for rule in console.rules}
    render = Renderer(console.database_fault)

    @router.get("/")
    def first(request: Request) -> HTMLResponse:
        now, look = console.now(), console.looking(request)
        picture = look(lambda session: take_picture(session, now, rules, console.collectors or {}, console.lists))
        return render("first.html", now, as_of=look.as_of, picture=picture, refresh=_REFRESH_SECONDS)

    @router.get("/incidents")
    def incidents(request: Request) -> HTMLResponse:
        look = console.looking(request)
        rows = look(lambda session: newest_incidents(session, _MOST_INCIDENTS))
        return render("incidents.html", console.now(), as_of=look.as_of, incidents=rows)

    @router.get("/incidents/{incident_id}")
    def incident(request: Request, incident_id: str) -> HTMLResponse:
        now, look = console.now(), console.looking(request)

        def history(session: Session) -> dict[str, Any]:
            row = incident_named(session, incident_id)
            if row is None:
                raise HTTPException(404, f"no incident {incident_id}")
            suspensions = of_incidents(session, [row.id], now, _MOST_SUSPENSIONS)
            about = [row.id, *(suspension.id for suspension in suspensions)]
            return {
                "trouble": trouble(row, suspensions, rules.get(row.rule)),
                "changes": newest_transitions(session, _MOST_CHANGES, about),
                "messages": newest_notifications(session, _MOST_MESSAGES, row.id),
            }

        shown = look(history)
        return render("incident.html", now, as_of=look.as_of, **shown)

    @router.get("/runs")
    def runs(request: Request) -> HTMLResponse:
        look = console.looking(request)
        rows = look(lambda session: newest_runs(session, _MOST_RUNS))
        return render("runs.html", console.now(), as_of=look.as_of, runs=rows)

    router.include_router(feedback_loop_and_abuse_pages(console, render))
    return router
