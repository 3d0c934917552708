"""An incident with members: what it says of itself, from what they say; and its row."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitor.config.severity import GRAVEST_FIRST, Severity, worst
from monitor.database.tables import Incident
from monitor.database.transitions import new_id
from monitor.incidents.causes import TARGET, Whole, causes
from monitor.incidents.changes import joined, moved
from monitor.incidents.rows import locked_incident
from monitor.incidents.states import State
from monitor.judging.case import Case
from monitor.notify.words import counted
from monitor.rules.conditions.listing import ListingNumbers
from monitor.rules.conditions.table import numbers_of
from monitor.rules.member_numbers import MemberNumbers, WholeNumbers
from monitor.rules.verdict import Answer, Member, Verdict, in_common

_MOST_MEMBERS, _MOST_ROWS = 200, 1000  # kept in the evidence; all members are rows themselves


@dataclass(frozen=True, slots=True)
class Part:
    """A member that has not ended, with all that it is matched by."""

    incident: Incident
    labels: Mapping[str, str]


def begun(whole: Whole, now: datetime) -> Incident:
    """One that has not been written yet."""
    return Incident(
        id=new_id("inc"), rule=whole.cause, subject_key=whole.key, open_key=whole.key, subject=dict(whole.group),
        state=State.OK.value, severity=Severity.INFO.value, started_at=now, judged_at=now, member_count=0,
    )


def verdict_on(whole: Incident, parts: Sequence[Part]) -> Verdict:
    """Breach while a member fires, in between while all recover, clear when all have ended."""
    rows = sorted((part.incident for part in parts), key=lambda row: (_rank(row), row.started_at, row.id))
    if not rows:
        return Verdict(tuple(whole.subject.items()), Answer.CLEAR, "all its members have ended")
    subject = {**in_common(row.subject for row in rows), **_shown(whole)}
    members = tuple(Member(row.id, row.subject, row.summary, row.started_at, severity=Severity(row.severity)) for row in rows)
    cause = causes().get(whole.rule)
    summary = f"{cause.meaning if cause else whole.rule}: {counted(len(rows), 'incident')}, the gravest: {rows[0].summary}"
    return Verdict(
        tuple(sorted(subject.items())), Answer.BREACH if any(row.state == State.FIRING for row in rows) else Answer.BETWEEN,
        summary, members=members, evidence=_numbers(rows), severity=worst(row.severity for row in rows),
        labels=in_common(part.labels for part in parts),
    )  # fmt: skip


def differs(whole: Incident, verdict: Verdict, parts: Sequence[Part], joining: Collection[str]) -> bool:
    """Whether its row says anything else by now."""
    return bool(joining) or verdict.answer is Answer.CLEAR or _content(whole) != _wanted(whole, verdict, parts)


def write_whole(case: Case, parts: Sequence[Part], joining: Collection[str]) -> None:
    """Bring its row to what its members say, with the transitions of it and of those that join. It ends when all of them have."""
    session, whole, now = case.session, case.incident, case.now
    before = whole.state
    wanted = _wanted(whole, case.verdict, parts)
    for name, value in wanted.items():
        setattr(whole, name, value)
    whole.judged_at = now
    if parts and whole.fired_at is None:
        whole.fired_at = now
        whole.started_at = min(part.incident.started_at for part in parts)
    if not parts:
        whole.ended_at, whole.open_key = now, whole.id
    session.add(whole)
    session.flush()
    if before != whole.state:
        moved(session, whole, (before, whole.state), why=case.verdict.summary, actor=whole.rule, now=now)
    for part in parts:
        if part.incident.id in joining:
            member = locked_incident(session, part.incident.id)
            if member is not None:
                joined(session, member, whole, now)


_STATES = {Answer.BREACH: State.FIRING, Answer.BETWEEN: State.RECOVERING, Answer.CLEAR: State.OK}


def _wanted(whole: Incident, verdict: Verdict, parts: Sequence[Part]) -> dict[str, Any]:
    """What it was at its end stays to be read."""
    wanted: dict[str, Any] = {"state": _STATES[verdict.answer].value, "member_count": len(parts)}
    if parts:
        wanted |= {
            "severity": str(verdict.severity), "summary": verdict.summary, "evidence": verdict.evidence.encode(), "subject": dict(verdict.group),
        }  # fmt: skip
    return {**_content(whole), **wanted}


def _content(whole: Incident) -> dict[str, Any]:
    return {name: getattr(whole, name) for name in ("state", "member_count", "severity", "summary", "evidence", "subject")}


def _shown(whole: Incident) -> dict[str, str]:
    """Of what they have alike, what belongs into the subject: one of many targets does not."""
    cause = causes().get(whole.rule)
    by = cause.by if cause is not None else ()
    return {name: whole.subject[name] for name in by if name != TARGET and name in whole.subject}


def _numbers(rows: Sequence[Incident]) -> WholeNumbers:
    """The members, the gravest first, and together what is listed."""
    listed = [row for incident in rows if isinstance(numbers := numbers_of(incident.evidence), ListingNumbers) for row in numbers.listed]
    members = tuple(
        MemberNumbers(incident=row.id, rule=row.rule, subject=dict(row.subject), severity=row.severity, state=row.state, summary=row.summary)
        for row in rows[:_MOST_MEMBERS]
    )
    rules = tuple(sorted({row.rule for row in rows}))
    return WholeNumbers(members=members, member_count=len(rows), rules=rules, listed=tuple(listed[:_MOST_ROWS]))


def _rank(row: Incident) -> int:
    return GRAVEST_FIRST.index(Severity(row.severity))
