"""Which suspensions a firing incident should have now, within what automation may do by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from collectors.dimensions import Use, names
from monitor.database.tables import Suspension
from monitor.database.transitions import new_id
from monitor.facts import Store
from monitor.gate import Effect, StreamKind
from monitor.inventory.rows import pools_of_addresses, stream_kind
from monitor.judging.case import Case
from monitor.notify.message import where
from monitor.restrictions.rows import in_force
from monitor.restrictions.suspensions import put_on, scope_key, take_off
from monitor.rules.verdict import Answer, Member

TRAFFIC_WINDOW = timedelta(hours=24)
_TRAFFIC_BY = names(Use.SUBJECT | Use.SCOPE)  # a scope that names another would be taken to stop nothing


@dataclass(frozen=True, slots=True)
class Limits:
    """Automation holds at most `max_held_share` (0-1) of the measured traffic."""

    max_held_share: float = 0.25


def wanting(case: Case) -> list[Member]:
    """The members of a breach that have no suspension and may get one.

    One lifted after the evidence arose was lifted knowing it, and is not put on again for it.
    """
    if case.verdict.answer is not Answer.BREACH or case.effect is None:
        return []
    active = {row.member for row in case.in_force()}
    lifted = {row.member: row.lifted_at for row in case.suspensions() if row.lifted_at is not None}
    return [
        member
        for member in case.verdict.members
        if member.holds and member.key not in active and not (member.key in lifted and lifted[member.key] > member.evidence_at)
    ]


def gone(case: Case) -> list[Suspension]:
    """The suspensions in force whose member is no longer part of a breach."""
    if case.verdict.answer is not Answer.BREACH:
        return []
    return [row for row in case.in_force() if row.member not in case.members]


def reconcile(case: Case, store: Store, limits: Limits) -> list[str]:
    """Put on the suspensions that are missing and take off those whose member is gone.

    Returns what was *not* done and why, in words for people.
    """
    for row in gone(case):
        take_off(case.session, row, actor=case.incident.rule, reason=f"{row.member} is clear", now=case.now)
    refused = _left_to_people(case)
    missing = wanting(case)
    if not missing:
        return refused
    held = _Held(case, store)
    for member in missing:
        row = _suspension(case, member)
        why_not = _why_not(case, held, row, limits)
        if why_not:
            refused.append(why_not)
        else:
            put_on(case.session, row, why=member.text)
            held.add(row)
    return refused


def _left_to_people(case: Case) -> list[str]:
    """What a rule that suspends does not suspend by itself, and why."""
    if case.effect is None or case.verdict.answer is not Answer.BREACH:
        return []
    if not case.verdict.members:
        unknown = " and ".join(name for name in case.effect.scope if name not in case.incident.subject)
        return [f"nothing is held: the facts do not say which {unknown} it is; a person must decide"]
    before = sorted({where(member.scope) for member in case.verdict.members if not member.holds})
    if not before:
        return []
    names = ", ".join(before[:3]) + (f" and {len(before) - 3} more" if len(before) > 3 else "")
    return [f"{names}: listed already when first seen, so a person must decide (or the rule, with baseline: hold)"]


def _suspension(case: Case, member: Member) -> Suspension:
    effect = case.effect
    assert case.rule is not None
    assert effect is not None
    until = case.now + effect.at_most if effect.at_most else None
    lifts_when = "the condition is clear" if until is None else "its time is over, or the condition is clear before"
    return Suspension(
        id=new_id("sus"), scope=dict(member.scope), scope_key=scope_key(member.scope), effect=effect.action,
        rate_per_hour=effect.rate_per_hour, rule=case.rule.id, incident_id=case.incident.id, member=member.key,
        actor=case.rule.id, text=member.text, evidence=dict(member.evidence), since=case.now, until=until,
        lifts_when=lifts_when,
    )


def _why_not(case: Case, held: _Held, row: Suspension, limits: Limits) -> str | None:
    scope = row.scope
    effect = case.effect
    spares = effect is not None and not effect.transactional and {"customer", "stream"} <= set(scope)
    if spares and stream_kind(case.session, scope["customer"], scope["stream"]) == StreamKind.TRANSACTIONAL:
        return f"{where(scope)} is transactional: automation does not {row.effect} it by itself"
    if row.effect == Effect.HOLD:
        share = held.share_with(row)
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
        self._pools = pools_of_addresses(case.session)
        self._scopes: list[Mapping[str, str]] = [
            row.scope for row in in_force(case.session, case.now) if row.effect == Effect.HOLD and row.rule is not None
        ]

    def add(self, row: Suspension) -> None:
        if row.effect == Effect.HOLD:
            self._scopes.append(row.scope)

    def share_with(self, row: Suspension) -> float | None:
        """The share of the traffic that would be stopped with this suspension too; None: not measured.

        A held IP stops its mail only once its whole pool is held: until then the others of the pool take it over.
        """
        scopes = [*self._scopes, row.scope]
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
