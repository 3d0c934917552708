"""The console's first pages: what is wrong now and why, its incidents, the runs of the collectors."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse
from sqlmodel import col, select

from monitor.console.overview import brakes_of, recent_runs, take_picture, trouble
from monitor.console.page import Console, Renderer
from monitor.console.pages.feedback_loops_and_abuse import desk_pages
from monitor.database.tables import Incident, Outbox, Transition

_REFRESH_SECONDS = 5
_MOST_RUNS, _MOST_INCIDENTS, _MOST_CHANGES = 200, 200, 500


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
            newest = select(Incident).order_by(col(Incident.started_at).desc(), col(Incident.id))
            rows = list(session.exec(newest.limit(_MOST_INCIDENTS)))
        return render("incidents.html", console.now(), incidents=rows)

    @router.get("/incidents/{incident_id}")
    def incident(incident_id: str) -> HTMLResponse:
        with console.store.reading_session() as session:
            row = session.get(Incident, incident_id)
            if row is None:
                raise HTTPException(404, f"no incident {incident_id}")
            brakes = brakes_of(session, [row.id])
            about = [row.id, *(brake.id for brake in brakes)]
            changed = select(Transition).where(col(Transition.of).in_(about)).order_by(col(Transition.id).desc())
            told = select(Outbox).where(Outbox.incident_id == row.id).order_by(col(Outbox.id).desc())
            changes, messages = list(session.exec(changed.limit(_MOST_CHANGES))), list(session.exec(told.limit(100)))
        shown = trouble(row, brakes, rules.get(row.rule))
        return render("incident.html", console.now(), trouble=shown, changes=changes, messages=messages)

    @router.get("/runs")
    def runs() -> HTMLResponse:
        with console.store.reading_session() as session:
            rows = recent_runs(session, _MOST_RUNS)
        return render("runs.html", console.now(), runs=rows)

    router.include_router(desk_pages(console, render))
    return router
