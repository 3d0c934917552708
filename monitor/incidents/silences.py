"""Silences: nobody is notified of matching incidents for a time; they are judged on."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import ColumnElement, func
from sqlmodel import Session, col, select

from collectors.dimensions import Use, names
from collectors.providers import ProviderTable
from monitor.config.severity import Severity
from monitor.config.validation import did_you_mean
from monitor.database.paging import Order, Page, Paged, paged
from monitor.database.tables import Incident, Silence, Transition
from monitor.database.transitions import BEFORE, TransitionKind, beginnings, check_reason, new_id
from monitor.incidents.matchers import MOST, Matcher, Operator, all_match, parse
from monitor.incidents.rows import common_labels, open_incidents
from monitor.incidents.schedule import Schedule, read_schedule
from monitor.inventory.known import read_names
from monitor.inventory.names import canonical
from monitor.inventory.providers import read_providers

MATCHER_DIMENSIONS = (*names(Use.MATCHER), "rule", "severity", "incident")
RULE_LABELS = "labels of rules"  # in `known`: the names of the labels that rules give; no matcher is called so
MOST_OF_A_CUSTOMER = 100  # in force: every pass asks all of them about each incident, and patterns cost time
_NEWEST = Order((col(Silence.since), col(Silence.id)))


class SilenceState(enum.StrEnum):
    SILENT = "silent"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A silence as it is asked for: matching incidents, from `since` (None: now) to `until`, at the hours of a schedule."""

    matchers: Sequence[Matcher]
    until: datetime
    since: datetime | None = None
    schedule: Schedule | None = None


def silence(
    session: Session, *, matchers: Mapping[str, str], actor: str, reason: str, now: datetime, until: datetime,
    by_customer: str | None = None, known: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> Silence:
    """A silence by equal values from now on; see `put_silence`."""
    wanted = Wanted([Matcher(name, Operator.EQUAL, value) for name, value in matchers.items()], until)
    return put_silence(session, wanted, actor=actor, reason=reason, now=now, by_customer=by_customer, known=known)


def put_silence(
    session: Session, wanted: Wanted, *, actor: str, reason: str, now: datetime, by_customer: str | None = None,
    known: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> Silence:
    """Notify nobody of matching incidents for that time; they are judged on. Raises ValueError.

    `known`: matcher → what it may name besides incidents that were; a matcher not in it may name anything.
    """
    check_reason(reason)
    checked = check_matchers(wanted.matchers, read_providers(session), known.get(RULE_LABELS, ()))
    since = max(wanted.since or now, now)
    if wanted.until <= since:
        raise ValueError("until is in the past" if wanted.until <= now else "until is before its beginning")
    equal = {each.name: each.value for each in checked if each.operator is Operator.EQUAL}
    read_names(session).as_seen_by(by_customer).check(equal)
    for name in equal.keys() & known.keys():
        _check_known(session, name, equal[name], known[name], suggest=by_customer is None)
    if by_customer is not None:
        _check_number(session, now, by_customer)
    row = Silence(
        id=new_id("sil"), matchers=equal, patterns=[str(each) for each in checked if each.operator is not Operator.EQUAL],
        schedule=wanted.schedule.stored if wanted.schedule else None, actor=actor, reason=reason, since=since,
        until=wanted.until,
    )  # fmt: skip
    session.add(row)
    session.add(Transition(
        at=now, kind=TransitionKind.SILENCE.value, of=row.id, old=BEFORE, new=SilenceState.SILENT.value, why=reason, actor=actor,
        evidence={
            "matchers": row.matchers, **({"patterns": row.patterns} if row.patterns else {}),
            **({"by_customer": by_customer} if by_customer else {}),
        },
    ))
    return row


def _check_number(session: Session, now: datetime, customer: str) -> None:
    """Raises ValueError where a customer has as many silences as it may."""
    about = select(func.count()).select_from(Silence).where(*_not_over(now), col(Silence.matchers)["customer"].as_string() == customer)
    if session.exec(about).one() >= MOST_OF_A_CUSTOMER:
        raise ValueError(f"{MOST_OF_A_CUSTOMER} silences of {customer} are in force — end some, or write one with a regular expression")


def _check_known(session: Session, name: str, value: str, known: Collection[str], *, suggest: bool) -> None:
    """Raises ValueError for what the configuration has not, unless an incident is or was about it."""
    if value in known:
        return
    same = col(Incident.rule) == value if name == "rule" else col(Incident.subject)[name].as_string() == value
    if session.exec(select(Incident.id).where(same).limit(1)).first() is None:
        meant = f" — {did_you_mean(value, known)}" if suggest else ""
        raise ValueError(f"{name}: the configuration has no {name} {value}{meant}")


def check_matchers(
    matchers: Sequence[Matcher], providers: ProviderTable | None = None, labels: Collection[str] = ()
) -> list[Matcher]:
    """The matchers in the form incidents have their values in. `labels`: those that rules give. Raises ValueError for what nobody can mean."""
    if not matchers or all(each.matches({}) for each in matchers):
        raise ValueError("a silence without matchers would silence everything; one must ask for a value")
    if len(matchers) > MOST:
        raise ValueError(f"more than {MOST} matchers — write one regular expression, such as ip=~192.0.2.*")
    known = (*MATCHER_DIMENSIONS, *sorted(labels))
    if strange := {each.name for each in matchers} - set(known):
        raise ValueError(f"cannot match on {', '.join(sorted(strange))}; known: {', '.join(known)}")
    checked = [canonical_matcher(each, providers) for each in matchers]
    equal = [each.name for each in checked if each.operator is Operator.EQUAL]
    if len(set(equal)) < len(equal):
        raise ValueError("a matcher is there twice: nothing has two values of one name")
    severity = next((each.value for each in checked if (each.name, each.operator) == ("severity", Operator.EQUAL)), None)
    if severity is not None and severity not in tuple(Severity):
        raise ValueError(f"severity: {did_you_mean(severity, tuple(Severity))}")
    return checked


def check_end(session: Session, silence_id: str, customer: str | None, *, may_end_others: bool) -> None:
    """Whether this customer (None: the provider) may end it.

    Raises LookupError for a silence that is not about this customer, PermissionError for one it did not put on.
    """
    silence_named(session, silence_id, customer)
    own = customer is None or made_by_customers(session, [silence_id]).get(silence_id) == customer
    if not own and not may_end_others:
        raise PermissionError("a customer ends what it silenced itself; this silence is the provider's")


def made_by_customers(session: Session, ids: Collection[str]) -> dict[str, str]:
    """Of these silences those that a key of a customer put on, with that customer."""
    begun = beginnings(session, TransitionKind.SILENCE, ids)
    return {each: evidence["by_customer"] for each, evidence in begun.items() if "by_customer" in evidence}


def end_silence(session: Session, silence_id: str, *, actor: str, reason: str, now: datetime) -> Silence:
    """End a silence now, also one that has not begun. Raises LookupError for an unknown id."""
    check_reason(reason)
    row = silence_named(session, silence_id)
    if row.ended_at is None and row.until > now:
        row.ended_at = now
        session.add(row)
        session.add(Transition(
            at=now, kind=TransitionKind.SILENCE.value, of=row.id, old=SilenceState.SILENT.value, new=SilenceState.ENDED.value, why=reason, actor=actor
        ))
    return row


def silence_named(session: Session, silence_id: str, customer: str | None = None) -> Silence:
    """One silence; about that customer only, where one is named. Raises LookupError."""
    row = session.get(Silence, silence_id)
    if row is None or customer not in {None, row.matchers.get("customer")}:
        raise LookupError(f"no silence {silence_id}")
    return row


def find_silences(
    session: Session, now: datetime, page: Page, *, ended: bool = False, customer: str | None = None
) -> Paged[Silence]:
    """Newest first: those whose time is not over (begun or not), or with `ended` all. Raises PlaceError."""
    chosen = select(Silence)
    if not ended:
        chosen = chosen.where(*_not_over(now))
    if customer is not None:
        chosen = chosen.where(col(Silence.matchers)["customer"].as_string() == customer)
    return paged(session, chosen, _NEWEST, page)


def silences_at(session: Session, now: datetime) -> list[Silence]:
    """The silences in force now."""
    rows = session.exec(select(Silence).where(*_not_over(now), col(Silence.since) <= now))
    return [row for row in rows if row.schedule is None or read_schedule(row.schedule).holds(now)]


def silences_between(session: Session, since: datetime, until: datetime) -> list[Silence]:
    """The silences in force at some time of a span."""
    end = func.coalesce(Silence.ended_at, Silence.until)
    return list(session.exec(select(Silence).where(col(Silence.since) < until, end > since).order_by(col(Silence.since), col(Silence.id))))


def would_silence(
    session: Session, matchers: Sequence[Matcher], customer: str | None = None, labels: Collection[str] = ()
) -> list[Incident]:
    """The open incidents a silence with these matchers is about, the newest first. Raises ValueError as putting it on does."""
    checked = check_matchers(matchers, read_providers(session), labels)
    common = common_labels(session)
    rows = [row for row in open_incidents(session) if customer in {None, row.subject.get("customer")}]
    matching = [row for row in rows if all_match(checked, labels_of(row, common.get((row.rule, row.open_key))))]
    return sorted(matching, key=lambda row: (row.started_at, row.id), reverse=True)


def matchers_of(row: Silence) -> list[Matcher]:
    """All its matchers."""
    return [*(Matcher(name, Operator.EQUAL, value) for name, value in row.matchers.items()), *map(parse, row.patterns)]


def labels_of(incident: Incident, common: Mapping[str, str] | None = None) -> dict[str, str]:
    """What an incident is matched by: its subject, rule, severity and id, and what all that is judged has in common."""
    return {
        **(common or {}), **incident.subject, "rule": incident.rule, "severity": incident.severity, "incident": incident.id,
    }  # fmt: skip


def silenced_by(silences: Iterable[Silence], labels: Mapping[str, str]) -> list[str]:
    """The ids of those that match."""
    return [row.id for row in silences if all_match(matchers_of(row), labels)]


def silenced(silences: Iterable[Silence], incident: Incident, labels: Mapping[str, str]) -> bool:
    """Whether a silence matches what the incident says of itself.

    `labels` is what all that is judged has in common where the incident does not name it: a silence on one list does
    not cover an incident of its operator that is about another list too.
    """
    return bool(silenced_by(silences, labels_of(incident, labels)))


def canonical_matcher(matcher: Matcher, providers: ProviderTable | None = None) -> Matcher:
    """With its value in the form incidents have it in. Raises ValueError."""
    if matcher.operator.is_regex or not matcher.value:
        return matcher
    return Matcher(matcher.name, matcher.operator, canonical(matcher.name, matcher.value, providers))


def _not_over(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return col(Silence.ended_at).is_(None), col(Silence.until) > now
