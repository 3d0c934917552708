"""What the rules say: one verdict per rule and group, as it was last judged."""

from __future__ import annotations

from monitor.api.given import Given, Listed, Look, MaybeNamed, Reads
from monitor.api.problem import refusals
from monitor.api.route import new_router
from monitor.database.paging import part
from monitor.incidents.states import State
from monitor.judging.verdict_rows import Wanted, find_verdicts, rule_statuses
from monitor.judging.wire import GroupVerdict, RuleStatus

router = new_router("rules")


@router.get("/v1/rules")
def rules(look: Look, caller: Reads, listed: Listed) -> list[RuleStatus]:
    """Every rule that is judged, and how many of its groups are in which state (of a customer's key: its own)."""
    with refusals():
        statuses = look(lambda session: rule_statuses(session, caller.customer))
        return listed.linked(part(statuses, lambda status: (status.id,), listed.page))


@router.get("/v1/verdicts")
def verdicts(
    services: Given, look: Look, caller: Reads, listed: Listed, *, rule: MaybeNamed = None, state: State | None = None,
    customer: MaybeNamed = None,
) -> list[GroupVerdict]:
    """What each rule says of each group, by rule and group."""
    wanted = Wanted(rule, state, services.own(caller, {"customer": customer}))
    with refusals():
        return listed.shown(look(lambda session: find_verdicts(session, wanted, listed.page)), GroupVerdict)
