"""Abuse cases as rows: opened from mail to our abuse addresses, moved by people, each change a transition.

`open_cases` goes through the traces once, in the order they were committed: its cursor and the cases it makes are
one transaction, so a crash repeats nothing and skips nothing. Everything else changes in the caller's session.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from collectors.mail.fields import address
from collectors.mail.mime import head
from monitor.abuse.cases import JOINS_WITHIN, NEXT, State, Step, Turn, kind_of, kinds, thread
from monitor.database import transitions
from monitor.database.paging import Order, Page, Paged, paged
from monitor.database.tables import AbuseCase, Cursor, TraceRow, Transition
from monitor.database.transitions import TransitionKind, check_reason, new_id
from monitor.facts.evidence import beginning_of
from monitor.facts.following import Place, followed_traces, place_of_trace
from monitor.facts.store import Store
from monitor.inventory.rows import has_customer

ACTOR = "abuse-cases"
MOST_AT_ONCE = 1_000
_MOST_BATCHES = 200  # of a flood on one matter; its reports are counted on
_HEAD = 65_536
_BY_DEADLINE = Order((col(AbuseCase.deadline_at), col(AbuseCase.id)), descending=False)
_NEWEST = Order((col(AbuseCase.opened_at), col(AbuseCase.id)))



class Shown(enum.StrEnum):
    """Which cases a list has."""

    OPEN = "open"
    OVERDUE = "overdue"
    CLOSED = "closed"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Assignment:
    """What to change of a case; None leaves it as it is. `waits_for` ours: it is our turn."""

    waits_for: Turn | None = None
    customer: str | None = None
    assignee: str | None = None
    kind: str | None = None


def open_cases(store: Store, now: datetime) -> list[str]:
    """Make cases of what arrived since the last time; returns the ids of the new ones. Safe to repeat."""
    opened: list[str] = []
    while True:
        cut = store.cut()
        with store.session() as session:
            cursor = _cursor(session, now)
            since = _place(session, cursor)
            reports = followed_traces(session, since, cut, MOST_AT_ONCE)
            opened += [made.id for trace in reports if (made := _taken(session, trace, now)) is not None]
            more = len(reports) == MOST_AT_ONCE
            place = Place(reports[-1].batch_id, reports[-1].id or 0) if more else max(since, Place(cut.batch + 1))
            cursor.value, cursor.updated_at = place._asdict(), now
            session.add(cursor)
        if not more:
            return opened


def _place(session: Session, cursor: Cursor) -> Place:
    value = cursor.value
    return Place(value["batch"], value["row"]) if "batch" in value else place_of_trace(session, value.get("trace", 0))


def cases(
    session: Session, now: datetime, shown: Shown = Shown.OPEN, *, customer: str | None = None, page: Page | None = None
) -> Paged[AbuseCase]:
    """Cases by what presses most: the next deadline first; closed ones by the newest. Raises PlaceError."""
    chosen = select(AbuseCase)
    if shown in {Shown.OPEN, Shown.OVERDUE}:
        chosen = chosen.where(AbuseCase.state != State.CLOSED)
    if shown == Shown.OVERDUE:
        chosen = chosen.where(AbuseCase.deadline_at < now)
    if shown == Shown.CLOSED:
        chosen = chosen.where(AbuseCase.state == State.CLOSED)
    if customer is not None:
        chosen = chosen.where(AbuseCase.customer == customer)
    return paged(session, chosen, _BY_DEADLINE if shown in {Shown.OPEN, Shown.OVERDUE} else _NEWEST, page or Page())


def case(session: Session, case_id: str, *, lock: bool = False) -> AbuseCase:
    """One case, locked for whoever is about to change it. Raises LookupError."""
    row = session.get(AbuseCase, case_id, with_for_update=lock)
    if row is None:
        raise LookupError(f"no abuse case {case_id}")
    return row


def history(session: Session, case_id: str) -> list[Transition]:
    """What was done, the oldest first."""
    return transitions.history(session, (TransitionKind.ABUSE_CASE,), case_id)


def assign(
    session: Session, case_id: str, wanted: Assignment, *, actor: str, reason: str, now: datetime
) -> AbuseCase:
    """Say whose turn it is, whose mail it was, who looks after it, or what it is about; opens a closed case again.

    Sorted as another kind, it has that kind's deadline. Raises LookupError, ValueError.
    """
    check_reason(reason)
    row = case(session, case_id, lock=True)
    if wanted == Assignment():
        raise ValueError("say what to change: whom it waits for, the customer, the assignee or the kind")
    if wanted.kind is not None:
        if wanted.kind not in kinds():
            raise ValueError(f"no kind '{wanted.kind}'; known: {', '.join(kinds())}")
        row.kind, row.deadline_at = wanted.kind, row.opened_at + kinds()[wanted.kind].within
    if wanted.customer is not None and not has_customer(session, wanted.customer):
        raise ValueError(f"no customer '{wanted.customer}'")
    row.customer, row.assignee = wanted.customer or row.customer, wanted.assignee or row.assignee
    step = Step(wanted.waits_for) if wanted.waits_for else Step.REPORT
    evidence = {name: value for name in ("customer", "assignee", "kind") if (value := getattr(wanted, name)) is not None}
    _step(session, row, step, actor=actor, why=reason, now=now, evidence=evidence)
    return row


def close(session: Session, case_id: str, *, actor: str, reason: str, now: datetime) -> AbuseCase:
    """Say that nothing is left to do. Closing twice changes nothing. Raises LookupError, ValueError."""
    check_reason(reason)
    row = case(session, case_id, lock=True)
    if row.state != State.CLOSED:
        _step(session, row, Step.CLOSE, actor=actor, why=reason, now=now)
    return row


def note(session: Session, case_id: str, *, actor: str, reason: str, now: datetime) -> AbuseCase:
    """Leave word for whoever reads on. Raises LookupError, ValueError."""
    check_reason(reason)
    row = case(session, case_id, lock=True)
    session.add(_transition(row, row.state, actor=actor, why=reason, now=now))
    return row


def _taken(session: Session, trace: TraceRow, now: datetime) -> AbuseCase | None:
    """The case a report opened; None where it joined one that is open. The clock runs from its arrival."""
    kind, source = kind_of(trace.category, trace.text), trace.ip or trace.domain
    reporter = _reporter(session, trace.batch_id)
    known = session.exec(
        select(AbuseCase).where(
            AbuseCase.state != State.CLOSED, AbuseCase.kind == kind, AbuseCase.customer == trace.customer,
            AbuseCase.source == source, col(AbuseCase.newest_at) >= trace.at - JOINS_WITHIN,
        ).order_by(col(AbuseCase.opened_at).desc())
    ).all()
    joined = next((row for row in known if _same_matter(row, trace, reporter)), None)
    if joined is not None:
        joined.reports += 1
        joined.newest_at = max(joined.newest_at, trace.at)
        joined.batches = [*joined.batches, trace.batch_id][:_MOST_BATCHES]
        session.add(joined)
        return None
    row = AbuseCase(
        id=new_id("abu"), customer=trace.customer, kind=kind, state=State.OPEN, source=source, reporter=reporter,
        subject=trace.text or "", batches=[trace.batch_id], opened_at=trace.at, newest_at=trace.at,
        deadline_at=trace.at + kinds()[kind].within,
    )
    session.add(row)
    why = f"{kind} reported{f' by {reporter}' if reporter else ''}{f': {trace.text}' if trace.text else ''}"
    session.add(_transition(row, transitions.BEFORE, actor=ACTOR, why=why, now=now))
    session.flush()
    return row


def _same_matter(row: AbuseCase, trace: TraceRow, reporter: str | None) -> bool:
    """Letters that name nothing of ours are one matter only as one correspondence."""
    if row.customer is not None or row.source is not None:
        return True
    return row.reporter == reporter and thread(row.subject) == thread(trace.text)


def _reporter(session: Session, batch_id: int) -> str | None:
    """The domain that wrote, as far as the mail was kept."""
    beginning = beginning_of(session, batch_id, _HEAD)
    if beginning is None:
        return None
    domain = address(head(beginning).get("from")).rpartition("@")[2].strip().lower()
    return domain[:253] or None


def _cursor(session: Session, now: datetime) -> Cursor:
    """Where we stand, locked until the session ends."""
    row = session.get(Cursor, (ACTOR, "trace"), with_for_update=True)
    return row or Cursor(collector=ACTOR, name="trace", value={}, updated_at=now)


def _step(
    session: Session, row: AbuseCase, step: Step, *, actor: str, why: str, now: datetime, evidence: dict[str, str] | None = None
) -> None:
    old = State(row.state)
    row.state = NEXT[old, step].value
    row.closed_at = (row.closed_at or now) if row.state == State.CLOSED else None
    session.add(row)
    session.add(_transition(row, old.value, actor=actor, why=why, now=now, evidence=evidence))


def _transition(
    row: AbuseCase, old: str, *, actor: str, why: str, now: datetime, evidence: dict[str, str] | None = None
) -> Transition:
    return Transition(
        at=now, kind=TransitionKind.ABUSE_CASE.value, of=row.id, old=old, new=row.state, why=why, actor=actor, evidence=evidence or {}
    )
