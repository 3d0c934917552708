"""Feedback-loop enrolments as rows, each change of state with its transition; and where they leave gaps.

Nothing here commits but `gaps_now`, which only reads: the caller's session does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from monitor.config.validation import did_you_mean
from monitor.database.tables import FblEnrolment, Transition
from monitor.database.transitions import BEFORE, TransitionKind, check_reason
from monitor.facts.store import Store
from monitor.feedback_loops.enrolments import (
    Coverage,
    Enrolment,
    Kind,
    Sent,
    State,
    check_move,
    coverage,
    subject_name,
)
from monitor.inventory.providers import provider_table, read_providers
from monitor.inventory.rows import read_inventory

SENT_WINDOW = timedelta(days=7)
EXPIRY = "expiry"


@dataclass(frozen=True, slots=True)
class Wish:
    """What an enrolment shall be; details that are None stay as they are."""

    provider: str
    kind: Kind
    subject: str
    state: State
    contact: str | None = None
    note: str | None = None
    ends_at: datetime | None = None


def enrolments(session: Session) -> list[FblEnrolment]:
    """All of them, by provider, kind and subject."""
    rows = session.exec(select(FblEnrolment)).all()
    return sorted(rows, key=lambda row: (row.provider, row.kind, row.subject))


def states_by_provider(session: Session) -> dict[str, set[str]]:
    """Provider → the states of its enrolments; only providers that have any."""
    states: dict[str, set[str]] = {}
    for provider, state in session.exec(select(FblEnrolment.provider, FblEnrolment.state)):
        states.setdefault(provider, set()).add(state)
    return states


def set_enrolment(session: Session, wish: Wish, *, actor: str, reason: str, now: datetime) -> FblEnrolment:
    """Make it so. Raises ValueError for what cannot be enrolled, or cannot move that way."""
    check_reason(reason)
    provider, subject = _named(session, wish)
    row = session.get(FblEnrolment, (provider, wish.kind, subject), with_for_update=True)
    old = State(row.state) if row else None
    check_move(old, wish.state)
    ends_at = wish.ends_at or (row.ends_at if row and old is wish.state else None)  # a new start has its own end
    if wish.state is State.ACTIVE and ends_at is not None and ends_at <= now:
        raise ValueError("ends_at is in the past: it is lapsed, not active")
    if row is None:
        row = FblEnrolment(provider=provider, kind=wish.kind, subject=subject, state=wish.state, updated_at=now)
    row.contact = row.contact if wish.contact is None else wish.contact
    row.note = row.note if wish.note is None else wish.note
    row.ends_at = ends_at
    _move(session, row, (old, wish.state), actor=actor, reason=reason, now=now)
    return row


def drop_enrolment(
    session: Session, key: tuple[str, Kind, str], *, actor: str, reason: str, now: datetime
) -> FblEnrolment:
    """Forget an enrolment: it was entered by mistake, or is nobody's any more. Raises LookupError, ValueError."""
    check_reason(reason)
    provider, kind, written = key
    subject = subject_name(kind, written)
    row = session.get(FblEnrolment, (read_providers(session).named(provider) or provider, kind, subject), with_for_update=True)
    if row is None:
        raise LookupError(f"no enrolment of {kind} {subject} at {provider}")
    session.delete(row)
    session.add(_transition(row, row.state, BEFORE, actor=actor, why=reason, now=now))
    return row


def lapse(session: Session, now: datetime) -> list[FblEnrolment]:
    """Mark as lapsed every active enrolment whose end has come."""
    due = session.exec(
        select(FblEnrolment).where(FblEnrolment.state == State.ACTIVE, col(FblEnrolment.ends_at) <= now)
    ).all()
    for row in due:
        _move(session, row, (State.ACTIVE, State.LAPSED), actor=EXPIRY, reason="its time is over", now=now)
    return list(due)


def gaps_now(store: Store, now: datetime) -> Coverage:
    """Where what was sent lately goes without a loop."""
    with store.reading_session() as session:
        inventory = read_inventory(session)
        ours = [
            Enrolment(row.provider, Kind(row.kind), row.subject, State(row.state), row.ends_at)
            for row in enrolments(session)
        ]
    return coverage(inventory, _sent(store, now), provider_table(inventory.providers.values()).rows, ours, now)


def _sent(store: Store, now: datetime) -> Sent:
    until = now + timedelta(microseconds=1)
    sent = Sent()
    counts = store.window_counts(("delivered",), ("ip", "domain", "provider"), now - SENT_WINDOW, until)
    for (ip, domain, provider), counted in counts.items():
        if provider is not None:
            sent.add(ip, domain, provider, counted["delivered"])
    return sent


def _move(
    session: Session, row: FblEnrolment, change: tuple[State | None, State], *, actor: str, reason: str, now: datetime
) -> None:
    old, new = change
    row.state, row.updated_at = new.value, now
    session.add(row)
    if old is new:
        return
    if new is State.REQUESTED:
        row.requested_at = now
    if new is State.ACTIVE:
        row.active_at = now
    session.add(_transition(row, old.value if old else BEFORE, new.value, actor=actor, why=reason, now=now))


def _transition(row: FblEnrolment, old: str, new: str, *, actor: str, why: str, now: datetime) -> Transition:
    of = f"{row.provider}/{row.kind}/{row.subject}"
    return Transition(at=now, kind=TransitionKind.ENROLMENT.value, of=of, old=old, new=new, why=why, actor=actor)


def _named(session: Session, wish: Wish) -> tuple[str, str]:
    """Provider and subject in canonical form; raises ValueError where the provider is unknown or enrols no such kind."""
    if wish.kind not in set(Kind):
        raise ValueError(f"a {wish.kind} cannot be enrolled; {', '.join(Kind)} can")
    subject = subject_name(wish.kind, wish.subject)
    table = read_providers(session)
    provider = table.named(wish.provider)
    if provider is None:
        raise ValueError(f"no provider '{wish.provider}' — {did_you_mean(wish.provider, table.rows)}")
    programme = table.rows[provider].fbl
    keyed_by = programme.keyed_by if programme else None
    if keyed_by is not None and wish.kind not in {keyed_by, Kind.ACCOUNT}:
        raise ValueError(f"{table.rows[provider].name} enrols by {keyed_by}, not by {wish.kind}")
    return provider, subject
