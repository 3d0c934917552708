"""Operation: is it alive, is it ready, and the numbers Prometheus scrapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from fastapi import Response
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from monitor.api.given import Given, Look
from monitor.api.problem import Problem
from monitor.api.route import new_router
from monitor.database.faults import sentence
from monitor.facts.runs import count_runs, last_runs
from monitor.facts.series_limit import made_today, refused_since
from monitor.gate import STALE_AFTER, Decided
from monitor.incidents.rows import count_open
from monitor.notify.outbox import count_by_state, count_waiting, oldest_waiting

router = new_router("operation")
_Sample = tuple[dict[str, str], float]


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
    text = look(lambda session: _stored(session, now))
    index = services.gate.index
    text += _metric("vigie_decisions_total", "counter", "Decisions of this process, by answer.",
                    [({"decision": word.value}, services.gate.decided[word]) for word in Decided])
    text += _metric("vigie_gate_version", "gauge", "Newest transition the gate knows.", [({}, index.version)])
    text += _metric("vigie_gate_restrictions", "gauge", "Restrictions in force.", [({}, len(index.restrictions))])
    text += _metric("vigie_gate_age_seconds", "gauge", "Since the gate was last in step with the database.",
                    [({}, (now - index.built_at).total_seconds())])
    if look.as_of is not None:
        text += _metric("vigie_replica_age_seconds", "gauge", "Of the replica's newest transaction: what stands here is so old.",
                        [({}, (now - look.as_of).total_seconds())])
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _stored(session: Session, now: datetime) -> str:
    return "".join((
        _metric("vigie_runs_24h", "gauge", "Runs of collectors in the last 24 hours, by outcome.", _runs(session, now)),
        _metric("vigie_collector_good_run_age_seconds", "gauge", "Since a collector last ended ok or partial.",
                _ages(session, now)),
        _metric("vigie_incidents_open", "gauge", "Incidents not ended, by severity and state.", _open_incidents(session)),
        _metric("vigie_outbox_waiting", "gauge", "Messages not sent yet.", [({}, count_waiting(session))]),
        _metric("vigie_notifications", "gauge", "Notifications kept, by receiver and state; given_up are dead letters.",
                [({"receiver": name, "state": state}, count) for name, state, count in count_by_state(session)]),
        _metric("vigie_outbox_oldest_seconds", "gauge", "Since the oldest notification that waits was written, by receiver.",
                [({"receiver": name}, (now - at).total_seconds()) for name, at in oldest_waiting(session)]),
        _metric("vigie_new_series_today", "gauge", "Series that were new today (UTC): the most of one customer, of one key.",
                _of_kinds(made_today(session, now), max)),
        _metric("vigie_refused_readings_24h", "gauge", "Readings of further new series, not counted in the last 24 hours.",
                _of_kinds(refused_since(session, now - timedelta(hours=24)), sum)),
    ))


def _runs(session: Session, now: datetime) -> list[_Sample]:
    rows = count_runs(session, now - timedelta(hours=24))
    return [({"collector": collector, "outcome": outcome}, count) for collector, outcome, count in rows]


def _ages(session: Session, now: datetime) -> list[_Sample]:
    return [
        ({"collector": name}, (now - runs.good.ended_at).total_seconds())
        for name, runs in last_runs(session).items()
        if runs.good and runs.good.ended_at
    ]


def _open_incidents(session: Session) -> list[_Sample]:
    return [({"severity": severity, "state": state}, count) for severity, state, count in count_open(session)]


def _of_kinds(counts: Iterable[tuple[str, float]], together: Callable[[list[float]], float]) -> list[_Sample]:
    """By kind (customer, key) and not by name: whoever asks needs no key, and learns no customer by it."""
    kinds: dict[str, list[float]] = {}
    for name, count in counts:
        kinds.setdefault(name.partition(" ")[0], []).append(count)
    return [({"of": kind}, together(each)) for kind, each in sorted(kinds.items())]


def _metric(name: str, kind: str, meaning: str, samples: list[_Sample]) -> str:
    lines = [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in sorted(labels.items()))
        lines.append(f"{name}{{{shown}}} {value:g}" if shown else f"{name} {value:g}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
