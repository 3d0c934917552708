"""Silences: nobody is notified of matching incidents for a time; they are judged on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from collectors.dimensions import Use, names
from monitor.config.severity import Severity
from monitor.config.validation import did_you_mean
from monitor.database.paging import Order, Page, Paged, paged
from monitor.database.tables import Incident, Silence, Transition
from monitor.database.transitions import TransitionKind, check_reason, new_id
from monitor.inventory.known import read_names
from monitor.inventory.names import canonical
from monitor.inventory.providers import read_providers

MATCHER_DIMENSIONS = (*names(Use.MATCHER), "rule", "severity", "incident")
_NEWEST = Order((col(Silence.since), col(Silence.id)))


def silence(
    session: Session, *, matchers: Mapping[str, str], actor: str, reason: str, now: datetime, until: datetime,
    by_customer: str | None = None, known: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> Silence:
    """Notify nobody of matching incidents until then; they are judged on. Raises ValueError.

    `known`: matcher → what it may name besides incidents that were; a matcher not in it may name anything.
    """
    check_reason(reason)
    if not matchers:
        raise ValueError("a silence without matchers would silence everything")
    if strange := set(matchers) - set(MATCHER_DIMENSIONS):
        raise ValueError(f"cannot match on {', '.join(sorted(strange))}; known: {', '.join(MATCHER_DIMENSIONS)}")
    if until <= now:
        raise ValueError("until is in the past")
    providers = read_providers(session)
    matchers = {name: canonical(name, value, providers) for name, value in matchers.items()}
    read_names(session).as_seen_by(by_customer).check(matchers)
    for name in matchers.keys() & known.keys():
        _check_known(session, name, matchers[name], known[name], suggest=by_customer is None)
    if (severity := matchers.get("severity")) is not None and severity not in tuple(Severity):
        raise ValueError(f"severity: {did_you_mean(severity, tuple(Severity))}")
    row = Silence(id=new_id("sil"), matchers=matchers, actor=actor, reason=reason, since=now, until=until)
    session.add(row)
    session.add(Transition(
        at=now, kind=TransitionKind.SILENCE.value, of=row.id, old="none", new="silent", why=reason, actor=actor,
        evidence={"matchers": row.matchers},
    ))
    return row


def _check_known(session: Session, name: str, value: str, known: Collection[str], *, suggest: bool) -> None:
    """Raises ValueError for what the configuration has not, unless an incident is or was about it."""
    if value in known:
        return
    same = col(Incident.rule) == value if name == "rule" else col(Incident.subject)[name].as_string() == value
    if session.exec(select(Incident.id).where(same).limit(1)).first() is None:
        meant = f" — {did_you_mean(value, known)}" if suggest else ""
        raise ValueError(f"{name}: the configuration has no {name} {value}{meant}")


def end_silence(session: Session, silence_id: str, *, actor: str, reason: str, now: datetime) -> Silence:
    """End a silence now. Raises LookupError for an unknown id."""
    check_reason(reason)
    row = session.get(Silence, silence_id)
    if row is None:
        raise LookupError(f"no silence {silence_id}")
    if row.ended_at is None and row.until > now:
        row.ended_at = now
        session.add(row)
        session.add(Transition(
            at=now, kind=TransitionKind.SILENCE.value, of=row.id, old="silent", new="ended", why=reason, actor=actor
        ))
    return row


def find_silences(
    session: Session, now: datetime, page: Page, *, ended: bool = False, customer: str | None = None
) -> Paged[Silence]:
    """Newest first: those in force, or with `ended` all. Raises PlaceError."""
    chosen = select(Silence)
    if not ended:
        chosen = chosen.where(*_standing(now))
    if customer is not None:
        chosen = chosen.where(col(Silence.matchers)["customer"].as_string() == customer)
    return paged(session, chosen, _NEWEST, page)


def silences_at(session: Session, now: datetime) -> list[Silence]:
    """The silences in force now."""
    return list(session.exec(select(Silence).where(*_standing(now))))


def silenced(silences: Iterable[Silence], incident: Incident, labels: Mapping[str, str]) -> bool:
    """Whether a silence matches: every matcher equals what the incident says of itself.

    `labels` is what all that is judged has in common where the incident does not name it: a silence on one list does
    not cover an incident of its operator that is about another list too.
    """
    words = {
        **labels, **incident.subject, "rule": incident.rule, "severity": incident.severity, "incident": incident.id,
    }
    return any(all(words.get(name) == value for name, value in row.matchers.items()) for row in silences)


def _standing(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return col(Silence.ended_at).is_(None), col(Silence.since) <= now, col(Silence.until) > now
