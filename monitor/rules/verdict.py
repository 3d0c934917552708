"""What a rule says of one group of facts, and the facts it is asked about. Pure shapes."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Group = tuple[tuple[str, str], ...]  # (dimension, value) in the rule's order


class Answer(enum.StrEnum):
    """Breach; ok but not yet clear (the hysteresis band); clear; or unknown, for a reason."""

    BREACH = "breach"
    BETWEEN = "between"
    CLEAR = "clear"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Member:
    """One thing inside the group that a brake may be put on.

    `evidence_at` is when the newest evidence against it arose: a brake lifted later than that is not put
    on again.
    """

    key: str
    scope: Mapping[str, str]
    text: str
    evidence_at: datetime
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rule's answer for one group now. `evidence` holds the numbers a person would want to check."""

    group: Group
    answer: Answer
    summary: str
    reason: str | None = None  # only with unknown
    members: tuple[Member, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def word(self) -> str:
        """ok, breach or unknown."""
        return "ok" if self.answer in {Answer.BETWEEN, Answer.CLEAR} else self.answer.value


@dataclass(frozen=True, slots=True)
class RateFacts:
    """Complaints and delivered messages of one group, for the same mails, since `since`.

    `stale` says why the complaints cannot be believed to be complete (None: they can).
    """

    group: Group
    since: datetime
    delivered: float
    complaints: float
    newest_at: datetime
    stale: str | None = None


@dataclass(frozen=True, slots=True)
class ListingFact:
    """How one target stands on one list: a row of `records.Listing` with what the inventory knows of it."""

    target: str
    is_ip: bool
    dnsbl: str
    phase: str
    baseline: bool
    codes: tuple[str, ...]
    first_seen_at: datetime
    confirmed_at: datetime | None
    detail: Mapping[str, Any]
    pool: str | None = None
    customer: str | None = None
    unknown_reason: str | None = None
