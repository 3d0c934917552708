"""What a rule says of one group now. Pure shapes."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from monitor.config.severity import Severity
from monitor.rules.numbers import NOTHING, Numbers

Group = tuple[tuple[str, str], ...]  # (dimension, value) in the rule's order


class Answer(enum.StrEnum):
    """Breach; ok but not yet clear (the hysteresis band); clear; unknown, for a reason; or not asked, as another rule fires."""

    BREACH = "breach"
    BETWEEN = "between"
    CLEAR = "clear"
    UNKNOWN = "unknown"
    UNEVALUATED = "unevaluated"


@dataclass(frozen=True, slots=True)
class Member:
    """One thing inside the group that may be suspended.

    `evidence_at` is when the newest evidence against it arose: a suspension lifted later than that is not put
    on again. Without `holds` people are notified of it, and nothing is suspended.
    """

    key: str
    scope: Mapping[str, str]
    text: str
    evidence_at: datetime
    evidence: Numbers = NOTHING
    severity: Severity | None = None  # None: the rule's
    holds: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rule's answer for one group now. `evidence` holds the numbers a person would want to check.

    `labels`: the dimensions beside those of the group that all it speaks of have in common; silences match on them.
    """

    group: Group
    answer: Answer
    summary: str
    reason: str | None = None  # with unknown: a collectors.contract.Reason; with unevaluated: the rule that fires
    members: tuple[Member, ...] = ()
    evidence: Numbers = NOTHING
    severity: Severity | None = None  # None: the rule's
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def word(self) -> str:
        """ok, breach, unknown or unevaluated."""
        return "ok" if self.answer in {Answer.BETWEEN, Answer.CLEAR} else self.answer.value


def unknown(group: Group, reason: str, text: str, evidence: Numbers = NOTHING) -> Verdict:
    """A verdict that says why there is none."""
    return Verdict(group, Answer.UNKNOWN, text, reason, evidence=evidence)


def group_of(by: Iterable[str], labels: Mapping[str, str]) -> Group:
    """The labels named, in this order; those it has not are left out."""
    return tuple((name, labels[name]) for name in by if name in labels)


def in_common(each: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The labels that all of them have alike."""
    pairs = [set(labels.items()) for labels in each]
    return dict(sorted(set.intersection(*pairs))) if pairs else {}


def key_of(group: Group) -> str:
    """One text per group, in the rule's order."""
    return "|".join(f"{name}={value}" for name, value in group) or "everything"
