"""Where links in messages lead: one incident is shown, and with a button acknowledged or silenced. Needs no key: the link is one.

Whatever only fetches the page (a chat's preview, a mail scanner) changes nothing; the button sends a form (POST).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import parse_qs

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from collectors.cleaning import is_clean_name
from monitor.console.page import Console, Renderer
from monitor.console.pages.table import LINKS
from monitor.database.tables import Incident
from monitor.incidents.changes import acknowledge
from monitor.incidents.rows import incident_named
from monitor.incidents.silences import silence
from monitor.notify.links import Link, LinkError, Links

HOURS = (1, 4, 24)
_ACTIONS = ("acknowledge", "silence")
_LONGEST_NAME, _LONGEST_REASON = 100, 1000


def build_actions(console: Console, links: Links) -> APIRouter:
    """The routes, which ask for no key."""
    router = APIRouter(default_response_class=HTMLResponse)
    page = _Page(console, links)

    @router.get("/act/{token}")
    def show(token: str) -> HTMLResponse:
        return page.shown(token)

    @router.post("/act/{token}")
    async def act(request: Request, token: str) -> HTMLResponse:
        body = await request.body()
        return await to_thread.run_sync(page.acted, token, body)

    return router


class _Page:
    def __init__(self, console: Console, links: Links) -> None:
        self._console, self._links = console, links
        self._render = Renderer(LINKS, console.database_fault)

    def shown(self, token: str) -> HTMLResponse:
        """The incident, and the form."""
        try:
            _, incident = self._meant(token)
        except LinkError as error:
            return self._answer(410, None, str(error))
        return self._answer(200, incident)

    def acted(self, token: str, body: bytes) -> HTMLResponse:
        """What was asked for is done, or said why not."""
        try:
            link, incident = self._meant(token)
        except LinkError as error:
            return self._answer(410, None, str(error))
        try:
            fields = {name: values[0].strip() for name, values in parse_qs(body.decode("ascii"), max_num_fields=10).items()}
            text = self._do(link, fields)
        except UnicodeDecodeError:
            return self._answer(422, incident, "the form cannot be read")
        except (ValueError, LookupError) as error:
            return self._answer(422, incident, str(error))
        _, incident = self._meant(token)
        return self._answer(200, incident, text)

    def _meant(self, token: str) -> tuple[Link, Incident]:
        """Raises LinkError."""
        link = self._links.read(token, self._console.now())
        with self._console.store.reading_session() as session:
            incident = incident_named(session, link.incident)
        if incident is None:
            raise LinkError("this incident is no longer kept")
        return link, incident

    def _do(self, link: Link, fields: Mapping[str, str]) -> str:
        """Raises ValueError, LookupError."""
        action, who, reason = (fields.get(name, "") for name in ("action", "who", "reason"))
        hours = next((each for each in HOURS if str(each) == fields.get("hours")), None)
        if action not in _ACTIONS or hours is None:
            raise ValueError("the form is not as it was sent; open the link again")
        if not who or not is_clean_name(who) or len(who) > _LONGEST_NAME:
            raise ValueError("who are you? Write a name, in one line")
        if "\0" in reason or len(reason) > _LONGEST_REASON:
            raise ValueError(f"the reason is longer than {_LONGEST_REASON} characters, or no text")
        now = self._console.now()
        actor, until = f"{who} (link to {link.receiver})", now + timedelta(hours=hours)
        with self._console.store.session() as session:
            if action == "acknowledge":
                acknowledge(session, link.incident, actor=actor, reason=reason, now=now, until=until)
                return f"Acknowledged for {hours} h: nobody is reminded of it unless it gets worse."
            silence(session, matchers={"incident": link.incident}, actor=actor, reason=reason, now=now, until=until)
            return f"Silenced for {hours} h: nobody is notified of it but that it is over."

    def _answer(self, status: int, incident: Incident | None, text: str = "") -> HTMLResponse:
        shown = self._render("act.html", self._console.now(), incident=incident, text=text, hours=HOURS, failed=status != 200)
        policy = shown.headers["Content-Security-Policy"].replace("form-action 'none'", "form-action 'self'")
        shown.headers["Content-Security-Policy"] = policy
        shown.headers["X-Robots-Tag"] = "noindex"
        shown.status_code = status
        return shown
