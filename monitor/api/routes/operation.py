"""Operation: is it alive, is it ready, and the numbers Prometheus scrapes."""

from __future__ import annotations

from fastapi import Response
from sqlalchemy.exc import SQLAlchemyError

from monitor.api.given import Given, Look
from monitor.api.metrics import of_process, stored
from monitor.api.problem import Problem
from monitor.api.route import new_router
from monitor.database.faults import sentence
from monitor.gate import STALE_AFTER
from monitor.metrics import text_of

router = new_router("operation")


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
def ready(services: Given) -> dict[str, str]:
    """The database answers and can be written, the gate is up to date; 503 otherwise. The gate decides all the same."""
    if not services.gate.ready:
        raise Problem(503, "the restrictions in force were not read yet")
    try:
        services.store.prove_readable()
    except (SQLAlchemyError, OSError) as error:
        raise Problem(503, sentence(error)) from None
    if (fault := services.database_fault()) is not None:
        raise Problem(503, fault)
    if services.now() - services.gate.index.built_at > STALE_AFTER:
        raise Problem(503, "the gate does not keep up with the database")
    return {"status": "ready", "gate_version": str(services.gate.index.version)}


@router.get("/metrics", response_class=Response)
def metrics(look: Look, services: Given) -> Response:
    """Prometheus text format 0.0.4."""
    now = services.now()
    families = look(lambda session: stored(session, now))
    text = text_of((*families, *of_process(services, look.as_of, now)))
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
