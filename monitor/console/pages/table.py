"""Every page of the console, one row each; its route and the links at the top of all pages follow from it."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from monitor.console.page import Console, Renderer, Visit, WebPage
from monitor.console.pages.feedback_loops_and_abuse import abuse, abuse_case, feedback_loops
from monitor.console.pages.now_incidents_runs import incident, incidents, now, runs
from monitor.console.pages.rules import rule, rules
from monitor.console.pages.warm_up import warm_ups

# in the order of the links; a page without words has none
PAGES = (
    WebPage("/", "first.html", now, "Now", refresh_seconds=5),
    WebPage("/incidents", "incidents.html", incidents, "Incidents"),
    WebPage("/incidents/{incident_id}", "incident.html", incident),
    WebPage("/rules", "rules.html", rules, "Rules"),
    WebPage("/rules/{rule_id}", "rule.html", rule),
    WebPage("/fbl", "fbl.html", feedback_loops, "Feedback loops"),
    WebPage("/abuse", "abuse.html", abuse, "Abuse"),
    WebPage("/abuse/{case_id}", "abuse_case.html", abuse_case),
    WebPage("/warmup", "warm_up.html", warm_ups, "Warm-up"),
    WebPage("/runs", "runs.html", runs, "Runs"),
)
OF_API = {"/metrics": "Metrics", "/healthz": "Health", "/openapi.json": "API"}
LINKS = {page.path: page.words for page in PAGES if page.words} | OF_API


def build_pages(console: Console) -> APIRouter:
    """The routes; who may see them is decided by whoever includes them."""
    router = APIRouter(default_response_class=HTMLResponse)
    render = Renderer(LINKS, console.database_fault)
    for page in PAGES:
        router.get(page.path)(_route(page, console, render))
    return router


def _route(page: WebPage, console: Console, render: Renderer) -> Callable[[Request], HTMLResponse]:
    def answer(request: Request) -> HTMLResponse:
        visit = Visit(console, console.looking(request), console.now(), request.path_params)
        shown = page.show(visit)
        return render(page.template, visit.now, as_of=visit.look.as_of, refresh=page.refresh_seconds, **shown)

    return answer
