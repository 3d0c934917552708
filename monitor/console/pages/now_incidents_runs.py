"""The console's first pages: what is wrong now and why, its incidents, the runs of the collectors."""

from __future__ import annotations

from fastapi import HTTPException
from sqlmodel import Session

from monitor.console.overview import suspensions_of, take_picture, trouble
from monitor.console.page import Visit
from monitor.database.transitions import newest_transitions
from monitor.facts.runs import newest_runs
from monitor.incidents.links import followed_from, led_to
from monitor.incidents.rows import incident_named, members_of, newest_incidents
from monitor.notify.outbox import newest_notifications

_MOST_RUNS, _MOST_INCIDENTS, _MOST_CHANGES, _MOST_SUSPENSIONS, _MOST_MESSAGES = 200, 200, 500, 1000, 100


def now(visit: Visit) -> dict[str, object]:
    """What is wrong now and why, what is held, what happened lately."""
    console = visit.console
    rules = {rule.id: rule for rule in console.rules}
    collectors = console.collectors or {}
    return {"picture": visit.look(lambda session: take_picture(session, visit.now, rules, collectors, console.lists))}


def incidents(visit: Visit) -> dict[str, object]:
    """The newest, ended ones too."""
    return {"incidents": visit.look(lambda session: newest_incidents(session, _MOST_INCIDENTS))}


def incident(visit: Visit) -> dict[str, object]:
    """One incident, what was done about it, and its history."""
    incident_id = visit.named["incident_id"]
    rules = {rule.id: rule for rule in visit.console.rules}

    def history(session: Session) -> dict[str, object]:
        row = incident_named(session, incident_id)
        if row is None:
            raise HTTPException(404, f"no incident {incident_id}")
        suspensions = suspensions_of(session, [row], visit.now, _MOST_SUSPENSIONS).get(row.id, [])
        members = members_of(session, row.id, _MOST_INCIDENTS)
        ids = [row.id, *(each.id for each in members)]
        about = [row.id, *(suspension.id for suspension in suspensions)]
        return {
            "trouble": trouble(row, suspensions, rules.get(row.rule), followed_from(session, ids)),
            "members": members, "led_to": led_to(session, ids),
            "changes": newest_transitions(session, _MOST_CHANGES, about),
            "messages": newest_notifications(session, _MOST_MESSAGES, row.id),
        }

    return visit.look(history)


def runs(visit: Visit) -> dict[str, object]:
    """The newest runs of collectors and jobs."""
    return {"runs": visit.look(lambda session: newest_runs(session, _MOST_RUNS))}
