"""Which suspensions a firing incident should have now, within what automation may do by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import col, select

from collectors.dimensions import Use, names
from monitor.database.tables import SendingIp, Stream, Suspension
from monitor.database.transitions import new_id
from monitor.facts import Store
from monitor.judging.case import Case
from monitor.notify.message import where
from monitor.restrictions.suspensions import put_on, scope_key, take_off
from monitor.rules.verdict import Answer, Member

TRAFFIC_WINDOW = timedelta(hours=24)
_TRAFFIC_BY = names(Use.SUBJECT | Use.SCOPE)  # a scope that names another would be taken to stop nothing


@dataclass(frozen=True, slots=True)
class Limits:
    """Automation brakes at most `max_held_share` (0-1) of the measured traffic."""

    max_held_share: float = 0.25


def wanting(case: Case) -> list[Member]:
    """The members of a breach that have no brake and may get one.

    A brake lifted after the evidence arose was lifted knowing it, and is not put on again for it.
    """
    if case.verdict.answer is not Answer.BREACH or case.suspend is None:
        return []
    brakes = case.brakes()
    active = {brake.member for brake in brakes if brake.lifted_at is None}
    lifted = {brake.member: brake.lifted_at for brake in brakes if brake.lifted_at is not None}
    return [
        member
        for member in case.verdict.members
        if member.key not in active and not (member.key in lifted and lifted[member.key] > member.evidence_at)
    ]


def gone(case: Case) -> list[Suspension]:
    """The brakes in force whose member is no longer part of a breach."""
    if case.verdict.answer is not Answer.BREACH:
        return []
    return [brake for brake in case.brakes_in_force() if brake.member not in case.members]


def reconcile(case: Case, store: Store, limits: Limits) -> list[str]:
    """Put on the brakes that are missing and take off those whose member is gone.

    Returns what was *not* done and why, in words for people.
    """
    for brake in gone(case):
        take_off(case.session, brake, actor=case.incident.rule, reason=f"{brake.member} is clear", now=case.now)
    missing = wanting(case)
    if not missing:
        return []
    held, refused = _Held(case, store), []
    for member in missing:
        brake = _brake(case, member)
        why_not = _why_not(case, held, brake, limits)
        if why_not:
            refused.append(why_not)
        else:
            put_on(case.session, brake, why=member.text)
            held.add(brake)
    return refused


def _brake(case: Case, member: Member) -> Suspension:
    suspend = case.suspend
    assert case.rule is not None
    assert suspend is not None
    until = case.now + suspend.at_most if suspend.at_most else None
    lifts_when = "the condition is clear" if until is None else "its time is over, or the condition is clear before"
    return Suspension(
        id=new_id("sus"), scope=dict(member.scope), scope_key=scope_key(member.scope), effect=suspend.effect,
        rate_per_hour=suspend.rate_per_hour, rule=case.rule.id, incident_id=case.incident.id, member=member.key,
        actor=case.rule.id, text=member.text, evidence=dict(member.evidence), since=case.now, until=until,
        lifts_when=lifts_when,
    )


def _why_not(case: Case, held: _Held, brake: Suspension, limits: Limits) -> str | None:
    scope = brake.scope
    suspend = case.suspend
    if suspend and not suspend.transactional and {"customer", "stream"} <= set(scope):
        stream = case.session.get(Stream, (scope["customer"], scope["stream"]))
        if stream is not None and stream.kind == "transactional":
            return f"{where(scope)} is transactional: automation does not {brake.effect} it by itself"
    if brake.effect == "hold":
        share = held.share_with(brake)
        if share is not None and share > limits.max_held_share:
            return (
                f"holding {where(scope)} too would hold {share:.0%} of the traffic; automation may hold "
                f"{limits.max_held_share:.0%} by itself, so a person must decide"
            )
    return None


class _Held:
    """What automation's holds stop of the mail delivered lately; traffic and pools are read once."""

    def __init__(self, case: Case, store: Store) -> None:
        until = case.now + timedelta(microseconds=1)
        counted = store.window_counts(("delivered",), _TRAFFIC_BY, case.now - TRAFFIC_WINDOW, until)
        self._traffic = [
            (dict(zip(_TRAFFIC_BY, values, strict=True)), counts["delivered"]) for values, counts in counted.items()
        ]
        self._pools = dict(case.session.exec(select(SendingIp.address, SendingIp.pool)).all())
        in_force = select(Suspension.scope).where(
            col(Suspension.lifted_at).is_(None), Suspension.effect == "hold", col(Suspension.rule).is_not(None)
        )
        self._scopes: list[Mapping[str, str]] = list(case.session.exec(in_force))

    def add(self, brake: Suspension) -> None:
        if brake.effect == "hold":
            self._scopes.append(brake.scope)

    def share_with(self, brake: Suspension) -> float | None:
        """The share of the traffic that would be stopped with this brake too; None: not measured.

        A held IP stops its mail only once its whole pool is held: until then the others of the pool take it over.
        """
        scopes = [*self._scopes, brake.scope]
        held = {scope["ip"] for scope in scopes if set(scope) == {"ip"}}
        free = {pool for address, pool in self._pools.items() if pool is not None and address not in held}
        stopped_ips = {ip for ip in held if self._pools.get(ip) not in free}
        others = [scope.items() for scope in scopes if set(scope) != {"ip"}]
        total = sum(count for _, count in self._traffic)
        stopped = sum(
            count
            for subject, count in self._traffic
            if subject["ip"] in stopped_ips or any(scope <= subject.items() for scope in others)
        )
        return float(stopped / total) if total else None
