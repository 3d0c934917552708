"""Incidents: what is wrong or was, page by page, and the acknowledgement of a person."""

from __future__ import annotations

from sqlmodel import Session

from monitor.api.given import Given, Listed, Look, MaybeNamed, Operates, Reads, Reasoned
from monitor.api.problem import refusals
from monitor.api.route import new_router
from monitor.config.quantities import When
from monitor.database.paging import MOST, Paged
from monitor.database.wire import Transition
from monitor.incidents import changes as incident_changes
from monitor.incidents import rows as incident_rows
from monitor.incidents.links import links_of
from monitor.incidents.rows import States, Wanted
from monitor.incidents.wire import Incident, IncidentHistory, IncidentLink, shown

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

    def page_of(session: Session) -> Paged[Incident]:
        page = incident_rows.find_incidents(session, wanted, listed.page)
        return Paged(shown(session, page.rows, caller.customer), page.next)

    with refusals():
        return listed.linked(look(page_of))


@router.get("/v1/incidents/{incident_id}")
def incident(look: Look, caller: Reads, incident_id: str) -> IncidentHistory:
    """One incident and every change of it, oldest first; the members it has, and what it followed from or led to."""

    def history(session: Session) -> IncidentHistory:
        row = incident_rows.incident(session, incident_id, caller.customer)
        members = incident_rows.members_of(session, incident_id, MOST)
        links = links_of(session, [incident_id, *(each.id for each in members)])
        ends = incident_rows.shown_to(session, {end for link in links for end in (link.cause_id, link.effect_id)}, caller.customer)
        printed = shown(session, [row, *members], caller.customer)
        return IncidentHistory(
            incident=printed[0], transitions=Transition.from_rows(incident_changes.changes_of(session, incident_id)), members=printed[1:],
            links=IncidentLink.from_rows(link for link in links if {link.cause_id, link.effect_id} <= ends),
        )  # fmt: skip

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
        return shown(session, [row], caller.customer)[0]
