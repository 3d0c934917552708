"""What every page of the console is made from, and how it is rendered: on the server, without scripts.

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

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from collectors.cleaning import for_page
from monitor.console import filters
from monitor.facts import Store
from monitor.judging.feed_evidence import FeedEvidence
from monitor.rules.model import AnyRule


def _none() -> None:
    """Nothing is known to be wrong."""


@dataclass(frozen=True, slots=True)
class Console:
    """What the pages are made from. `collectors` says how often each enabled one runs.

    `database_fault` is why the database cannot be written now: every page says so at its top.
    """

    store: Store
    now: Callable[[], datetime]
    rules: Iterable[AnyRule] = ()
    collectors: Mapping[str, timedelta] | None = None
    database_fault: Callable[[], str | None] = _none
    feeds: FeedEvidence | None = None  # None: counted anew


class Renderer:
    """A template's name, the time and what to show → the page."""

    def __init__(self, database_fault: Callable[[], str | None] = _none) -> None:
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
        self._templates.globals["database_fault"] = database_fault
        self._templates.globals["css"] = Markup(css)  # noqa: S704 - our own file, nothing from outside

    def __call__(self, template: str, now: datetime, **shown: Any) -> HTMLResponse:
        text = self._templates.get_template(template).render(now=now, **({"refresh": None} | shown))
        return HTMLResponse(text, headers=self._headers)


def _seen(value: Any) -> Any:
    """What stands in a page: a stranger's text without characters that cannot be seen."""
    return for_page(value) if type(value) is str else value
