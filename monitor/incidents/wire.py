"""How incidents and silences are printed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlmodel import Session

from monitor.config.severity import Severity
from monitor.database.tables import Incident as IncidentRow
from monitor.database.wire import Transition
from monitor.incidents.rows import shown_to
from monitor.incidents.states import State
from monitor.rules.wire import VerdictNumbers
from monitor.wire import Wire


class Incident(Wire):
    """`subject` is the group judged, `evidence` the numbers of its worst moment (`now`: what is so by now). `notified_at`: when people were last notified.

    What has one cause is one incident with members: `rule` is then the cause, and `member_count` how many have not ended. `part_of`: of which
    one this is a member.
    """

    id: str
    rule: str
    subject: dict[str, str]
    state: State
    severity: Severity
    summary: str
    evidence: VerdictNumbers
    unknown_reason: str | None
    started_at: datetime
    fired_at: datetime | None
    ended_at: datetime | None
    judged_at: datetime
    notified_at: datetime | None
    acked_by: str | None
    acked_at: datetime | None
    ack_reason: str | None
    ack_until: datetime | None
    part_of: str | None = None
    joined_at: datetime | None = None
    member_count: int | None = None


def shown(session: Session, rows: Iterable[IncidentRow], customer: str | None) -> list[Incident]:
    """As they are printed; a customer is not shown of what, that is others' too, its own is part."""
    printed = Incident.from_rows(rows)
    if customer is None:
        return printed
    own = shown_to(session, [each.part_of for each in printed], customer)
    return [each if each.part_of in own else each.model_copy(update={"part_of": None, "joined_at": None}) for each in printed]


class IncidentLink(Wire):
    """`effect_id` followed from `cause_id`: why that is thought."""

    cause_id: str
    effect_id: str
    at: datetime
    why: str
    evidence: dict[str, Any]


class IncidentHistory(Wire):
    """An incident and its changes, oldest first. `members`: those it has or had; `links`: what it, or a member, followed from or led to."""

    incident: Incident
    transitions: list[Transition]
    members: list[Incident]
    links: list[IncidentLink]


class Silence(Wire):
    """Of matching incidents nobody is notified from `since` to `until`, or until it was ended.

    `matchers` are equal values, `patterns` other comparisons (`rule=~"ip-.*"`); `schedule`: only at these hours.
    """

    id: str
    matchers: dict[str, str]
    patterns: list[str]
    schedule: dict[str, Any] | None
    actor: str
    reason: str
    since: datetime
    until: datetime
    ended_at: datetime | None
