"""The pages of the delivery cell's own work: feedback loops to enrol in, and abuse cases."""

from __future__ import annotations

from fastapi import HTTPException

from monitor.abuse.rows import Shown, case, cases, history
from monitor.console.page import Visit
from monitor.database.paging import Page
from monitor.feedback_loops.rows import enrolments, gaps_now
from monitor.inventory.providers import read_providers
from monitor.judging.verdict_rows import FEEDBACK_LOOPS, verdicts_about

_MOST_CASES, _MOST_CLOSED = 500, 50


def feedback_loops(visit: Visit) -> dict[str, object]:
    """Which loops report, and what mail no loop reports on."""
    enrolled, known, verdicts = visit.look(
        lambda session: (enrolments(session), read_providers(session).rows, verdicts_about(session, FEEDBACK_LOOPS))
    )
    names = {provider.id: provider.name for provider in known.values()}
    covered = gaps_now(visit.console.store, visit.now)
    return {"enrolments": enrolled, "verdicts": verdicts, "coverage": covered, "names": names}


def abuse(visit: Visit) -> dict[str, object]:
    """The cases, those that are open first."""
    open_ones, closed = visit.look(lambda session: (
        cases(session, visit.now, page=Page(_MOST_CASES)).rows,
        cases(session, visit.now, Shown.CLOSED, page=Page(_MOST_CLOSED)).rows,
    ))
    return {"open": open_ones, "closed": closed}


def abuse_case(visit: Visit) -> dict[str, object]:
    """One case and its history, the newest first."""
    case_id = visit.named["case_id"]
    try:
        row, changes = visit.look(lambda session: (case(session, case_id), history(session, case_id)))
    except LookupError as error:
        raise HTTPException(404, str(error)) from None
    return {"case": row, "changes": changes[::-1]}
