"""The HTTP application: routes, problems, keys; the two decision calls stand in front of it all."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata, resources
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.access.keys import Caller, KeyScope
from monitor.api.access import Access, Guard, all_customers
from monitor.api.body import bounded, largest_at
from monitor.api.decision import DecisionCalls
from monitor.api.front import Front, Hosts
from monitor.api.problem import answer_with_problems
from monitor.api.routes import (
    abuse,
    alertmanager,
    allowances,
    events,
    facts,
    fbl,
    incidents,
    inventory,
    mail,
    operation,
    prometheus,
    records,
    recoveries,
    rules,
    sender,
    snapshot,
    suppressions,
    suspensions,
    webhooks,
)
from monitor.api.services import Services
from monitor.api.stream import Streams
from monitor.restrictions.follow import follow

ROUTERS = (
    snapshot, allowances, events, records, webhooks, mail, suspensions, incidents, facts, inventory, suppressions, fbl, abuse, sender, rules,
    operation, alertmanager, prometheus, recoveries,
)  # fmt: skip


async def _console_reader(caller: Annotated[Caller, Depends(Guard(KeyScope.READ, challenge="basic"))]) -> None:
    all_customers(caller)


class _Application(FastAPI):
    """FastAPI with bodies of a bounded size, whose OpenAPI document has the decision calls too."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            receive = bounded(receive, largest_at(scope["path"]))
        await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            text = resources.files("monitor.api").joinpath("decision.openapi.json").read_text("utf-8")
            decision = json.loads(text)
            document["paths"] = decision["paths"] | document["paths"]
            for kind, parts in decision["components"].items():
                document["components"].setdefault(kind, {}).update(parts)
            self.openapi_schema = document
        return self.openapi_schema


def build_app(services: Services, pages: APIRouter | None = None, actions: APIRouter | None = None) -> ASGIApp:
    """The ASGI application. `pages` (the console) are open or need a read key, as `settings` say; `actions` are pages whose
    address is the permission.
    """
    app = _Application(
        title="Vigie",
        description="The open reputation lookout for e-mail senders.",
        version=metadata.version("vigie"),
        docs_url=None,  # both load scripts from elsewhere
        redoc_url=None,
        lifespan=_following,
    )
    access = Access(services)
    app.state.services, app.state.access = services, access
    # the rest of the connections is for those who ask
    app.state.streams = streams = Streams(services.gate, services.now, services.settings.connections * 4 // 5)
    answer_with_problems(app)
    for module in ROUTERS:
        app.include_router(module.router)
    if pages is not None:
        guard = [] if services.settings.console_is_open else [Depends(_console_reader)]
        app.include_router(pages, dependencies=guard, include_in_schema=False)
    if actions is not None:
        app.include_router(actions, include_in_schema=False)
    settings = services.settings
    hosts = Hosts(settings.host_names, literals=settings.listens_everywhere)
    return DecisionCalls(Front(app, hosts), services, access, hosts, streams.close)


@asynccontextmanager
async def _following(app: FastAPI) -> AsyncIterator[None]:
    """While the application runs, a thread keeps the gate in step with the database."""
    services: Services = app.state.services
    stop = threading.Event()
    await asyncio.to_thread(services.gate.refresh, services.store, services.now(), everything=True)
    arguments = (services.gate, services.store, services.now, stop)
    thread = threading.Thread(target=follow, args=arguments, name="gate-follower", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        await asyncio.to_thread(thread.join, 5)
