"""Which suspensions a firing incident should have now, within what automation may do by itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from monitor.database.tables import Suspension
from monitor.database.transitions import new_id
from monitor.gate import Effect, StreamKind
from monitor.inventory.rows import stream_kind
from monitor.judging.case import Case
from monitor.judging.held import Held, Limits, Traffic
from monitor.notify.message import where
from monitor.restrictions import recoveries, shadow
from monitor.restrictions.suspensions import put_on, scope_key, take_off
from monitor.rules.ladders import ladders
from monitor.rules.model import Rule
from monitor.rules.verdict import Answer, Member, Verdict

_SLOWED_TO = 0.5  # of what it sent, where automation may not hold it


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
    if case.verdict.answer is not Answer.BREACH or (case.effect is not None and case.effect.recover is not None):
        return []  # what comes back step by step is not let go at once
    return [row for row in case.in_force() if row.member not in case.members]


def reconcile(case: Case, traffic: Traffic, limits: Limits) -> list[str]:
    """Put on the suspensions that are missing and take off those whose member is gone.

    Returns what was *not* done and why, in words for people.
    """
    no_longer = gone(case)
    if no_longer:
        traffic.forget()
    for row in no_longer:
        take_off(case.session, row, actor=case.incident.rule, reason=f"{row.member} is clear", now=case.now)
    refused = _left_to_people(case)
    missing = wanting(case)
    if limits.shadow and case.effect is not None:
        return refused + _in_shadow(case, [_suspension(case, member) for member in missing])
    if not missing:
        return refused + _slowed(case)
    held = traffic.held(case.session, case.now)
    rows = [_suspension(case, member) for member in missing]
    for row in rows:
        why_not = _spared(case, row)
        if why_not:
            refused.append(why_not)
            continue
        too_much = held.too_much(row.scope, limits) if row.effect == Effect.HOLD else None
        if too_much is not None:
            _slow(row, too_much, held)
        put_on(case.session, row, why=row.text)
        _begin_recovery(case, row, held)
        case.note(row)
        held.add(row)
    return refused + _slowed(case)


def _begin_recovery(case: Case, row: Suspension, held: Held) -> None:
    effect = case.effect
    if effect is None or effect.recover is None:
        return
    ladder = ladders()[effect.recover]
    begin = recoveries.Begin(ladder, case.incident.subject_key, held.per_hour(row.scope), effect.at_most or ladder.hold)
    recoveries.held_by_rule(case.session, row, begin, case.now)


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
    assert case.rule is not None
    return _row(case.rule, member, case.now, case.incident.id)


def _row(rule: Rule, member: Member, now: datetime, incident: str | None = None) -> Suspension:
    effect = rule.effect
    assert effect is not None
    until = now + effect.at_most if effect.at_most and effect.recover is None else None
    lifts_when = "the condition is clear" if until is None else "its time is over, or the condition is clear before"
    if effect.recover is not None:
        first = effect.at_most or ladders()[effect.recover].hold
        lifts_when = f"after {first} a little is let through, then more step by step while the rule is clear"
    return Suspension(
        id=new_id("sus"), scope=dict(member.scope), scope_key=scope_key(member.scope), effect=effect.action,
        rate_per_hour=effect.rate_per_hour, rule=rule.id, incident_id=incident, member=member.key,
        actor=rule.id, text=member.text, evidence=member.evidence.encode(), since=now, until=until,
        lifts_when=lifts_when, probe=effect.probe if effect.action is Effect.HOLD else None,
    )


def _spared(case: Case, row: Suspension) -> str | None:
    """Why automation does nothing to it by itself."""
    scope = row.scope
    effect = case.effect
    spares = effect is not None and not effect.transactional and {"customer", "stream"} <= set(scope)
    if spares and stream_kind(case.session, scope["customer"], scope["stream"]) == StreamKind.TRANSACTIONAL:
        return f"{where(scope)} is transactional: automation does not {row.effect} it by itself"
    if effect is not None and effect.recover is not None and case.rule is not None:
        recovery = recoveries.open_of(case.session, case.rule.id, row.scope_key)
        if recovery is not None and recoveries.overridden(recovery, case.now):
            return f"{where(scope)} is {recovery.stage} until {recovery.overridden_until:%Y-%m-%d %H:%M} UTC: {recovery.overridden_by} decided"
    return None


def _slow(row: Suspension, too_much: str, held: Held) -> None:
    """Make it slow what automation may not hold by itself."""
    row.effect, row.probe = Effect.SLOW, None
    row.rate_per_hour = max(1, round((held.per_hour(row.scope) or 1) * _SLOWED_TO))
    row.text = f"{row.text}; slowed to {row.rate_per_hour:,} an hour, for a hold {too_much}"


def _slowed(case: Case) -> list[str]:
    """What is only slowed of what the rule holds: said as long as it is so, for a person to decide."""
    if case.rule is None or case.effect is None or case.effect.action is not Effect.HOLD:
        return []
    rows = [row for row in case.in_force() if row.effect == Effect.SLOW and row.actor == case.rule.id]
    return [f"{where(row.scope)} is not held: {row.text}, so a person must decide" for row in rows]


def _in_shadow(case: Case, rows: Sequence[Suspension]) -> list[str]:
    assert case.rule is not None
    wanted = [row for row in rows if not _spared(case, row)]
    shadow.compare(case.session, case.rule.id, case.incident.subject_key, wanted, "all of automation is in shadow", case.now)
    return [f"{where(row.scope)} would be {'held' if row.effect == Effect.HOLD else 'slowed'}: automation is in shadow" for row in wanted]


def would_suspend(rule: Rule, verdict: Verdict, now: datetime) -> list[Suspension]:
    """What a rule in shadow would put on, were it live."""
    if rule.effect is None or verdict.answer is not Answer.BREACH:
        return []
    return [_row(rule, member, now) for member in verdict.members if member.holds]
