"""What should have come and did not: a collector's answers, or the readings of a signal of some group. Pure.

Not to see is no proof of harm: these rules suspend nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, model_validator

from collectors.contract import Reason
from collectors.freshness import AT_LEAST, is_stale, runs_limit
from monitor.config.quantities import Duration
from monitor.rules.evidence import Evidence, Seen
from monitor.rules.model import Rule, not_empty
from monitor.rules.numbers import Numbers
from monitor.rules.texts import filled, minute
from monitor.rules.verdict import Answer, Group, Verdict, group_of, key_of, unknown


class Absence(Rule):
    """Fires while nothing of a signal came for `max_age`, in a group it came of before.

    Without `max_age`: three turns of what has a turn, 15 minutes at least; else as long as the measure is believed.
    """

    TEXTS: ClassVar[frozenset[str]] = frozenset({"since", "reason"})

    condition: Literal["absence"]
    by: Annotated[tuple[str, ...], AfterValidator(not_empty)]
    max_age: Duration | None = None

    @model_validator(mode="after")
    def _holds_nothing(self) -> Absence:
        if self.effect:
            raise ValueError("condition absence only notifies: not to see is no proof of harm; leave effect out")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsenceNumbers(Numbers):
    """Since when nothing came, and why (a collectors.contract.Reason)."""

    reason: str
    since: datetime

    @property
    def failure(self) -> str | None:
        return self.reason


def judge(rule: Absence, evidence: Evidence, now: datetime) -> list[Verdict]:
    """One verdict per group that was heard before, or is configured."""
    newest: dict[Group, Seen] = {}
    for each in evidence.seen(rule.signal, rule.by):
        group = group_of(rule.by, each.labels)
        if len(group) == len(rule.by) and all(chosen.takes(each.labels.get(name)) for name, chosen in rule.where.items()):
            before = newest.get(group)
            if before is None or (each.last_at is not None and (before.last_at is None or each.last_at > before.last_at)):
                newest[group] = each
    return [_verdict(rule, group, each, now) for group, each in newest.items()]


def _verdict(rule: Absence, group: Group, each: Seen, now: datetime) -> Verdict:
    named, since = key_of(group).replace("=", " ").replace("|", ", "), each.last_at or each.first_at
    if since is None:
        return unknown(group, Reason.NO_DATA, f"{named}: none yet")
    if not is_stale(since, now, _limit(rule, each)):
        # what was never heard has only not had its time yet
        return Verdict(group, Answer.CLEAR if each.last_at else Answer.BETWEEN, f"{named}: {rule.signal.words} come")
    newest = f"; its newest run: {each.reason}, {each.text}" if each.reason else ""
    never = "" if each.last_at else " (never since it was configured)"
    text = f"{named} got no {rule.signal.words} since {minute(since)}{never}{newest}"
    trying = each.running_since is not None and not is_stale(each.running_since, now, _limit(rule, each))
    shown = filled(rule.summary, {**each.labels, "since": since, "reason": each.reason, "text": text}) if rule.summary else text
    evidence = AbsenceNumbers(reason=each.reason or Reason.STALE, since=since)
    return Verdict(group, Answer.BETWEEN if trying else Answer.BREACH, shown, evidence=evidence)


def _limit(rule: Absence, each: Seen) -> timedelta:
    if rule.max_age is not None:
        return rule.max_age
    return runs_limit(each.every) if each.every else max(rule.signal.max_age, AT_LEAST)
