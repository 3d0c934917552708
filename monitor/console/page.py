"""What every page of the console is made from, and how it is rendered: on the server, without scripts.

Everything that came from outside is escaped by the templates; the Content-Security-Policy allows nothing but
the one style sheet, by its hash, so that what slipped through could still load or run nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import resources
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from collectors.cleaning import for_page
from monitor.access.keys import Caller
from monitor.console import filters
from monitor.facts import Answer, Question, Store
from monitor.rules.lists import KnownLists
from monitor.rules.model import Rule

FAR_BEHIND = timedelta(seconds=60)  # of a replica: said at the top of the page, and not only at its end


def _none() -> None:
    """Nothing is known to be wrong."""


class Looking:
    """Asks for one page, in the name of whoever looks. `as_of`: it is a replica's, and holds as of then."""

    def __init__(self, store: Store, caller: Caller | None) -> None:
        self._store, self._who = store, caller.key_id if caller else None
        self.as_of: datetime | None = None

    def __call__(self, question: Question[Answer]) -> Answer:
        looked = self._store.look(question, self._who)
        self.as_of = min(filter(None, (self.as_of, looked.as_of)), default=None)
        return looked.answer


@dataclass(frozen=True, slots=True)
class Console:
    """What the pages are made from. `collectors` says how often each enabled one runs.

    `database_fault` is why the database cannot be written now: every page says so at its top.
    """

    store: Store
    now: Callable[[], datetime]
    rules: Iterable[Rule] = ()
    collectors: Mapping[str, timedelta] | None = None
    database_fault: Callable[[], str | None] = _none
    lists: KnownLists = field(default_factory=KnownLists)

    def looking(self, request: Request) -> Looking:
        """For the page that is asked for; whoever includes the pages says who asks (`request.state.caller`)."""
        return Looking(self.store, getattr(request.state, "caller", None))


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody asks for a page. `named`: what its address names, as `{incident_id}`."""

    console: Console
    look: Looking
    now: datetime
    named: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WebPage:
    """A page: its address, its template, what stands in it, and the words of the link to it at the top of every page."""

    path: str
    template: str
    show: Callable[[Visit], dict[str, object]]
    words: str | None = None
    refresh_seconds: int | None = None


class Renderer:
    """A template's name, the time, what to show, and as of when → the page."""

    def __init__(self, links: Mapping[str, str], database_fault: Callable[[], str | None] = _none) -> None:
        css = resources.files("monitor.console").joinpath("console.css").read_text("utf-8")
        digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
        self._headers = {
            "Content-Security-Policy": (
                f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
                "form-action 'none'; frame-ancestors 'none'"
            ),
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
        self._templates = Environment(
            loader=PackageLoader("monitor.console", "."), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True, finalize=_seen,
        )
        self._templates.filters.update(filters.FILTERS)
        self._templates.globals["links"] = links
        self._templates.globals["database_fault"] = database_fault
        self._templates.globals["css"] = Markup(css)  # noqa: S704 - our own file, nothing from outside

    def __call__(self, template: str, now: datetime, *, as_of: datetime | None = None, **shown: Any) -> HTMLResponse:
        behind = as_of is not None and now - as_of > FAR_BEHIND
        shown = {"refresh": None} | shown | {"now": now, "as_of": as_of, "behind": behind}
        text = self._templates.get_template(template).render(shown)
        return HTMLResponse(text, headers=self._headers)


def _seen(value: Any) -> Any:
    """What stands in a page: a stranger's text without characters that cannot be seen."""
    return for_page(value) if type(value) is str else value
