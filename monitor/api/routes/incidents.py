"""Incidents: what is wrong or was, page by page, and the acknowledgement of a person."""

from __future__ import annotations

from sqlmodel import Session

from monitor.api.given import Given, Listed, Look, MaybeNamed, Operates, Reads, Reasoned
from monitor.api.problem import refusals
from monitor.api.route import new_router
from monitor.config.quantities import When
from monitor.incidents import changes as incident_changes
from monitor.incidents import rows as incident_rows
from monitor.incidents.rows import States, Wanted
from monitor.incidents.wire import Incident, IncidentHistory

router = new_router("incidents")


class Acknowledgement(Reasoned):
    """Who looks after it is the key's name. `until`: for so long at most."""

    until: When | None = None


@router.get("/v1/incidents")
def incidents(
    services: Given, look: Look, caller: Reads, listed: Listed, *, state: States = States.OPEN, rule: MaybeNamed = None,
    customer: MaybeNamed = None,
) -> list[Incident]:
    """Incidents by state, rule and customer, newest first. `open` is whatever has not ended."""
    wanted = Wanted(state, rule, services.own(caller, {"customer": customer}))
    with refusals():
        return listed.shown(look(lambda session: incident_rows.find_incidents(session, wanted, listed.page)), Incident)


@router.get("/v1/incidents/{incident_id}")
def incident(look: Look, caller: Reads, incident_id: str) -> IncidentHistory:
    """One incident and every change of it, oldest first."""

    def history(session: Session) -> IncidentHistory:
        row = incident_rows.incident(session, incident_id, caller.customer)
        return IncidentHistory.model_validate(
            {"incident": row, "transitions": incident_changes.changes_of(session, incident_id)}
        )

    with refusals():
        return look(history)


@router.post("/v1/incidents/{incident_id}/ack")
def acknowledge(services: Given, caller: Operates, incident_id: str, why: Acknowledgement) -> Incident:
    """Say that a person looks after it."""
    with refusals(), services.store.session() as session:
        incident_rows.incident(session, incident_id, caller.customer)
        row = incident_changes.acknowledge(
            session, incident_id, actor=caller.name, reason=why.reason, now=services.now(), until=why.until
        )
    return Incident.from_row(row)
