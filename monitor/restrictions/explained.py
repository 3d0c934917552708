"""What `vigie gate explain` prints of a restriction: what it is, whether it applies, why not, and who can lift it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from monitor.database.tables import Suspension
from monitor.gate import Decided, Effect, ReasonKind
from monitor.gate.explain import Considered
from monitor.wire import Wire


class Explained(Wire):
    """A restriction in force beside one mail. `why`: in words, why it applies or does not."""

    id: str
    kind: ReasonKind
    scope: dict[str, str]
    effect: Effect
    rate_per_hour: int | None
    applies: bool
    why: str
    rule: str | None
    incident: str | None
    actor: str | None
    text: str
    since: datetime | None
    until: datetime | None
    lifts_when: str | None
    who_lifts: list[str]


class Explanation(Wire):
    """Why one mail is held or let through. `considered`: all in force; `left_out`: of those that do not apply, not shown."""

    decision: Decided
    considered: int
    applying: int
    left_out: int
    restrictions: list[Explained]


def explained(each: Considered, row: Suspension | None) -> Explained:
    """`row`: the suspension it stands in, where it is one."""
    restriction = each.restriction
    facts: dict[str, Any] = {
        "id": restriction.id, "kind": restriction.kind, "scope": dict(restriction.scope), "effect": restriction.effect,
        "rate_per_hour": restriction.rate_per_hour, "applies": each.applies, "why": _why(each), "rule": restriction.rule,
        "incident": restriction.incident, "actor": row.actor if row else None, "text": restriction.text,
        "since": row.since if row else None, "until": restriction.until, "lifts_when": restriction.lifts_when,
        "who_lifts": _who_lifts(each, row),
    }  # fmt: skip
    return Explained(**facts)


def _why(each: Considered) -> str:
    scope = each.restriction.scope
    if each.ended:
        return "its time is over"
    if each.misses:
        return "the mail is of another " + ", ".join(f"{name} than {scope[name]}" for name in each.misses)
    if each.asks:
        return "only to mail of " + ", ".join(f"{name} {scope[name]}" for name in each.asks) + ": the request names none"
    return "the mail is of " + ", ".join(f"{name} {scope[name]}" for name in each.meets) if each.meets else "it is about all mail"


def _who_lifts(each: Considered, row: Suspension | None) -> list[str]:
    if row is None:
        return ["nobody: it follows from what it is about"] if each.restriction.until is None else ["its time alone"]
    who = [f"an operator: vigie lift {row.id} --reason TEXT"]
    if row.by_customer is not None:
        who.append(f"a key of customer {row.by_customer} with the scope operate")
    if row.rule is not None:
        who.append(f"rule {row.rule}, by itself: {row.lifts_when or 'once its condition is clear'}")
    return who
