"""What every change of state has in common: its kind, its id, its reason, and the log it stands in."""

from __future__ import annotations

import enum
import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, func, select

from monitor.database.engine import table
from monitor.database.tables import Transition


class TransitionKind(enum.StrEnum):
    """What changed; `of` in the row is its id."""

    INCIDENT = "incident"
    ACKNOWLEDGEMENT = "acknowledgement"
    MEMBERSHIP = "membership"
    SUSPENSION = "suspension"
    SILENCE = "silence"
    LISTING = "listing"
    ENROLMENT = "enrolment"
    ABUSE_CASE = "abuse_case"
    ERASURE = "erasure"
    STANDING = "standing"
    RECOVERY = "recovery"


BEFORE = "none"  # `old` of what was not there before, `new` of what is there no longer


def new_id(prefix: str) -> str:
    """A short name nobody can guess or confuse: `inc-k3v9x2m8q1`."""
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    return f"{prefix}-{''.join(secrets.choice(alphabet) for _ in range(10))}"


def check_reason(reason: str) -> None:
    """Raises ValueError for a reason that says nothing."""
    if not reason.strip():
        raise ValueError("a reason is needed: who reads this later must know why")


def log_transitions(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write many changes at once: the columns of Transition but its id."""
    if rows:
        connection.execute(insert(table(Transition)), list(rows))


def newest_of_kind(session: Session, kind: TransitionKind, after: int) -> int:
    """The id of the newest change of one kind; `after` where there is none above it."""
    newest = select(func.max(Transition.id)).where(Transition.kind == kind, col(Transition.id) > after)
    return session.exec(newest).one() or after


LoggedChange = tuple[int, str, str, str, Mapping[str, Any]]  # id, of, new, actor, evidence


def changes_after(session: Session, kinds: Collection[TransitionKind], after: int) -> list[LoggedChange]:
    """The changes of these kinds above an id, the oldest first."""
    row = table(Transition).c
    chosen = sql_select(row.id, row.of, row.new, row.actor, row.evidence).where(row.kind.in_(kinds), row.id.op(">")(after))
    return [tuple(each) for each in session.execute(chosen.order_by(row.id))]


def newest_changes(session: Session, kinds: Collection[TransitionKind], up_to: int, limit: int) -> list[LoggedChange]:
    """The newest changes of these kinds up to an id, the oldest first."""
    row = table(Transition).c
    chosen = sql_select(row.id, row.of, row.new, row.actor, row.evidence).where(row.kind.in_(kinds), row.id.between(0, up_to))
    return [tuple(each) for each in session.execute(chosen.order_by(row.id.desc()).limit(limit))][::-1]


def beginnings(session: Session, kind: TransitionKind, ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """The evidence each of these began with."""
    if not ids:
        return {}
    chosen = select(Transition.of, Transition.evidence).where(
        Transition.kind == kind.value, col(Transition.of).in_(ids), Transition.old == BEFORE
    )
    return dict(session.exec(chosen).all())


def history(session: Session, kinds: Collection[TransitionKind], of: str, limit: int = 1000) -> list[Transition]:
    """Every change of these kinds of one thing, the oldest first."""
    chosen = select(Transition).where(col(Transition.kind).in_(kinds), Transition.of == of)
    return list(session.exec(chosen.order_by(col(Transition.id)).limit(limit)))


def newest_transitions(session: Session, limit: int, of: Collection[str] | None = None) -> list[Transition]:
    """The newest changes, of these things or of all, the newest first."""
    chosen = select(Transition).order_by(col(Transition.id).desc()).limit(limit)
    return list(session.exec(chosen if of is None else chosen.where(col(Transition.of).in_(of))))


def transitions_after(session: Session, seen: int) -> list[Transition]:
    """Every change after the one of this id, the oldest first."""
    return list(session.exec(select(Transition).where(col(Transition.id) > seen).order_by(col(Transition.id))))
