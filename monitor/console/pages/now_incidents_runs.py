"""The console's first pages: what is wrong now and why, its incidents, the runs of the collectors."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse

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
    def first() -> HTMLResponse:
        now = console.now()
        with console.store.reading_session() as session:
            picture = take_picture(session, now, rules, console.collectors or {})
        return render("first.html", now, picture=picture, refresh=_REFRESH_SECONDS)

    @router.get("/incidents")
    def incidents() -> HTMLResponse:
        with console.store.reading_session() as session:
            rows = newest_incidents(session, _MOST_INCIDENTS)
        return render("incidents.html", console.now(), incidents=rows)

    @router.get("/incidents/{incident_id}")
    def incident(incident_id: str) -> HTMLResponse:
        with console.store.reading_session() as session:
            row = incident_named(session, incident_id)
            if row is None:
                raise HTTPException(404, f"no incident {incident_id}")
            suspensions = of_incidents(session, [row.id], console.now(), _MOST_SUSPENSIONS)
            about = [row.id, *(suspension.id for suspension in suspensions)]
            changes = newest_transitions(session, _MOST_CHANGES, about)
            messages = newest_notifications(session, _MOST_MESSAGES, row.id)
        shown = trouble(row, suspensions, rules.get(row.rule))
        return render("incident.html", console.now(), trouble=shown, changes=changes, messages=messages)

    @router.get("/runs")
    def runs() -> HTMLResponse:
        with console.store.reading_session() as session:
            rows = newest_runs(session, _MOST_RUNS)
        return render("runs.html", console.now(), runs=rows)

    router.include_router(feedback_loop_and_abuse_pages(console, render))
    return router
