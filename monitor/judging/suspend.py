"""Which suspensions a firing incident should have now, within what automation may do by itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from collectors.dimensions import Use, names
from monitor.database.tables import Suspension
from monitor.database.transitions import new_id
from monitor.gate import Effect, StreamKind
from monitor.inventory.rows import pools_of_addresses, stream_kind
from monitor.judging.case import Case
from monitor.notify.message import where
from monitor.restrictions import recoveries
from monitor.restrictions.rows import in_force
from monitor.restrictions.suspensions import put_on, scope_key, take_off
from monitor.rules.evidence import Counts, Span
from monitor.rules.ladders import ladders
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
    if not missing:
        return refused
    held = traffic.held(case)
    for member in missing:
        row = _suspension(case, member)
        why_not = _why_not(case, held, row, limits)
        if why_not:
            refused.append(why_not)
        else:
            put_on(case.session, row, why=member.text)
            _begin_recovery(case, row, held)
            case.note(row)
            held.add(row)
    return refused


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
    effect = case.effect
    assert case.rule is not None
    assert effect is not None
    until = case.now + effect.at_most if effect.at_most and effect.recover is None else None
    lifts_when = "the condition is clear" if until is None else "its time is over, or the condition is clear before"
    if effect.recover is not None:
        first = effect.at_most or ladders()[effect.recover].hold
        lifts_when = f"after {first} a little is let through, then more step by step while the rule is clear"
    return Suspension(
        id=new_id("sus"), scope=dict(member.scope), scope_key=scope_key(member.scope), effect=effect.action,
        rate_per_hour=effect.rate_per_hour, rule=case.rule.id, incident_id=case.incident.id, member=member.key,
        actor=case.rule.id, text=member.text, evidence=member.evidence.encode(), since=case.now, until=until,
        lifts_when=lifts_when, probe=effect.probe if effect.action is Effect.HOLD else None,
    )


def _why_not(case: Case, held: Held, row: Suspension, limits: Limits) -> str | None:
    scope = row.scope
    effect = case.effect
    spares = effect is not None and not effect.transactional and {"customer", "stream"} <= set(scope)
    if spares and stream_kind(case.session, scope["customer"], scope["stream"]) == StreamKind.TRANSACTIONAL:
        return f"{where(scope)} is transactional: automation does not {row.effect} it by itself"
    if effect is not None and effect.recover is not None and case.rule is not None:
        recovery = recoveries.open_of(case.session, case.rule.id, row.scope_key)
        if recovery is not None and recoveries.overridden(recovery, case.now):
            return f"{where(scope)} is {recovery.stage} until {recovery.overridden_until:%Y-%m-%d %H:%M} UTC: {recovery.overridden_by} decided"
    if row.effect == Effect.HOLD:
        share = held.share_with(row)
        if share is not None and share > limits.max_held_share:
            return (
                f"holding {where(scope)} too would hold {share:.0%} of the traffic; automation may hold "
                f"{limits.max_held_share:.0%} by itself, so a person must decide"
            )
    return None


@dataclass(slots=True)
class Traffic:
    """The mail delivered lately, counted once per pass. `counts` answers as Evidence.counts."""

    counts: Callable[[Collection[str], Sequence[str], Span], Counts]
    _held: Held | None = None

    def forget(self) -> None:
        """A new pass begins, or a hold ended."""
        self._held = None

    def held(self, case: Case) -> Held:
        """What automation holds of it now."""
        if self._held is None:
            span = (case.now - TRAFFIC_WINDOW, case.now + timedelta(microseconds=1))
            counted = self.counts(("delivered",), _TRAFFIC_BY, span)
            rows = [row for row in in_force(case.session, case.now) if row.rule is not None]
            self._held = Held(counted, pools_of_addresses(case.session), rows)
        return self._held


class Held:
    """What automation's holds stop of the mail delivered lately.

    A held IP stops its mail only once its whole pool is held: until then the others of the pool take it over.
    """

    def __init__(self, counted: Counts, pools: Mapping[str, str | None], rows: Iterable[Suspension]) -> None:
        self._cells = [dict(zip(_TRAFFIC_BY, values, strict=True)) for values in counted]
        self._counts = [counts["delivered"] for counts in counted.values()]
        self._total, self._pools = sum(self._counts), pools
        self._places: dict[tuple[str, ...], dict[tuple[str | None, ...], list[int]]] = {}
        self._stopped: set[int] = set()
        self._ips: set[str] = set()
        for row in rows:
            self.add(row)

    def add(self, row: Suspension) -> None:
        if row.effect == Effect.HOLD:
            self._stopped |= self._stops(row.scope)
            self._ips |= _ip_alone(row.scope)

    def share_with(self, row: Suspension) -> float | None:
        """The share of the traffic that would be stopped with this suspension too; None: not measured."""
        if not self._total:
            return None
        stopped = self._stopped | self._stops(row.scope)
        ips = self._ips | _ip_alone(row.scope)
        if ips:
            free = {pool for address, pool in self._pools.items() if pool is not None and address not in ips}
            for address in ips:
                if self._pools.get(address) not in free:
                    stopped = stopped | self._of({"ip": address})
        return float(sum(self._counts[place] for place in stopped) / self._total)

    def per_hour(self, scope: Mapping[str, str]) -> int | None:
        """Messages an hour that a scope had lately; None: not measured."""
        counted = sum(self._counts[place] for place in self._of(scope))
        return max(1, round(counted / (TRAFFIC_WINDOW / timedelta(hours=1)))) if counted else None

    def _stops(self, scope: Mapping[str, str]) -> set[int]:
        """The cells that a hold of this scope stops by itself."""
        return set() if _ip_alone(scope) else self._of(scope)

    def _of(self, scope: Mapping[str, str]) -> set[int]:
        names = tuple(sorted(scope))
        if not set(names) <= set(_TRAFFIC_BY):
            return set()
        if names not in self._places:
            places: dict[tuple[str | None, ...], list[int]] = {}
            for place, cell in enumerate(self._cells):
                places.setdefault(tuple(cell[name] for name in names), []).append(place)
            self._places[names] = places
        return set(self._places[names].get(tuple(scope[name] for name in names), ()))


def _ip_alone(scope: Mapping[str, str]) -> set[str]:
    return {scope["ip"]} if set(scope) == {"ip"} else set()
