"""A state that became what it should not: an allow list that let an IP of ours go. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from pydantic import model_validator

from monitor.config.quantities import Duration
from monitor.rules.conditions.value import grouped
from monitor.rules.evidence import Change as Changed
from monitor.rules.evidence import Evidence
from monitor.rules.model import Rule, needs
from monitor.rules.numbers import Numbers, OnList, lists_of
from monitor.rules.texts import filled, minute, shown, some
from monitor.rules.verdict import Answer, Group, Member, Verdict, group_of, in_common, key_of

_MOST_NAMED = 3


class Change(Rule):
    """Fires when a state became `to` (0 where it is not said), until it is something else again.

    After `forget_after` the new state is taken as given.
    """

    TEXTS: ClassVar[frozenset[str]] = frozenset({"before", "after", "since", "targets", "names"})
    GONE: ClassVar[str] = "changed so long ago that it is taken as given"

    condition: Literal["change"]
    by: tuple[str, ...] = ("operator", "pool")
    to: float = 0
    forget_after: Duration = timedelta(days=14)

    @model_validator(mode="after")
    def _is_a_state(self) -> Change:
        needs(self, counts=False)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class LostTarget(OnList):
    """What stood there until `changed_at`; `meaning`: what the list said of it."""

    STATED: ClassVar[frozenset[str]] = OnList.STATED | {"meaning"}
    changed_at: datetime
    meaning: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeNumbers(Numbers):
    """What became what it should not."""

    lost: tuple[LostTarget, ...]

    @property
    def rows(self) -> Sequence[OnList]:
        return self.lost

    def headline(self, targets: str) -> str | None:
        return f"{targets} no longer on {lists_of(self.lost)}"


def judge(rule: Change, evidence: Evidence, now: datetime) -> list[Verdict]:
    """One verdict per group in which something changed lately."""
    groups: dict[Group, list[Changed]] = {}
    for measure in rule.signal.numerator:
        for each in evidence.changes(measure, now - rule.forget_after):
            chosen = all(chosen.takes(each.labels.get(name)) for name, chosen in rule.where.items())
            if chosen and now - each.at < rule.forget_after:
                groups.setdefault(grouped(rule.by, each.labels), []).append(each)
    return [_verdict(rule, group, changes) for group, changes in groups.items()]


def _verdict(rule: Change, group: Group, changes: Sequence[Changed]) -> Verdict:
    bad = [each for each in changes if each.after == rule.to]
    if not bad:
        text = f"{some(_names(changes), _MOST_NAMED)}: {rule.signal.words} as before again"
        return Verdict(group, Answer.CLEAR, text, labels=in_common(each.labels for each in changes))
    first = min(bad, key=lambda each: each.at)
    text = f"{some(_names(bad), _MOST_NAMED)}: {rule.signal.words} {shown(first.before)} → {shown(first.after)} on {minute(first.at)}"
    lists = some(sorted({_list_name(each) for each in bad}), _MOST_NAMED)
    if rule.summary:
        text = filled(rule.summary, {
            **dict(group), "before": first.before, "after": first.after, "since": first.at, "targets": some(_names(bad), _MOST_NAMED),
            "names": lists, "text": text,
        })  # fmt: skip
    return Verdict(
        group, Answer.BREACH, text, members=tuple(map(_member, bad)), evidence=ChangeNumbers(lost=tuple(map(_row, bad))),
        labels=in_common(each.labels for each in bad),
    )


def _member(each: Changed) -> Member:
    scope = dict(group_of(("ip", "domain"), each.labels))
    was = f" (was: {each.meaning})" if each.meaning else ""
    return Member(_key(each), scope, f"{_name(each)}: no longer as it was on {_list_name(each)}{was}", each.at)


def _row(each: Changed) -> LostTarget:
    return LostTarget(
        target=_name(each), customer=each.labels.get("customer"), dnsbl=each.labels.get("dnsbl"), name=_list_name(each),
        meaning=each.meaning, changed_at=each.at,
    )


def _names(changes: Sequence[Changed]) -> list[str]:
    return sorted({_name(each) for each in changes})


def _name(each: Changed) -> str:
    return each.labels.get("target") or key_of(tuple(each.labels.items()))


def _key(each: Changed) -> str:
    return f"{_name(each)}@{each.labels['dnsbl']}" if "dnsbl" in each.labels else _name(each)


def _list_name(each: Changed) -> str:
    return each.list_name or each.labels.get("dnsbl", "")
