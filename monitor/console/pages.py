"""The console: a few server-rendered pages that say what is wrong, why, and what to do. No scripts.

Everything that came from outside is escaped by the templates; the Content-Security-Policy allows nothing but
the one style sheet, by its hash, so that what slipped through could still load or run nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import resources
from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from sqlmodel import col, select

from monitor.console import words
from monitor.console.desk import desk_pages
from monitor.console.picture import brakes_of, recent_runs, take_picture, trouble
from monitor.records import Incident, Outbox, Transition
from monitor.rules.model import AnyRule
from monitor.store import Store

_REFRESH_SECONDS = 5
_MOST_RUNS, _MOST_INCIDENTS, _MOST_CHANGES = 200, 200, 500


@dataclass(frozen=True, slots=True)
class Console:
    """What the pages are made from. `collectors` says how often each enabled one runs."""

    store: Store
    now: Callable[[], datetime]
    rules: Iterable[AnyRule] = ()
    collectors: Mapping[str, timedelta] | None = None


def build_pages(console: Console) -> APIRouter:
    """The routes; who may see them is decided by whoever includes them."""
    router = APIRouter(default_response_class=HTMLResponse)
    rules = {rule.id: rule for rule in console.rules}
    render = _Renderer()

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


class _Renderer:
    def __init__(self) -> None:
        css = resources.files("monitor.console").joinpath("console.css").read_text("utf-8")
        digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
        self._headers = {
            "Content-Security-Policy": (
                f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
                "form-action 'none'; frame-ancestors 'none'"
            ),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
        self._templates = Environment(
            loader=PackageLoader("monitor.console", "."), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )
        self._templates.filters.update(words.FILTERS)
        self._templates.globals["css"] = Markup(css)  # noqa: S704 - our own file, nothing from outside

    def __call__(self, template: str, now: datetime, **shown: Any) -> HTMLResponse:
        text = self._templates.get_template(template).render(now=now, **({"refresh": None} | shown))
        return HTMLResponse(text, headers=self._headers)
