"""How enrolments, gaps in coverage and silent loops are printed."""

from __future__ import annotations

from datetime import datetime

from monitor.feedback_loops.enrolments import Kind, NoLoopKind, State
from monitor.rules.verdict import Verdict
from monitor.wire import Wire


class Enrolment(Wire):
    provider: str
    kind: Kind
    subject: str
    state: State
    contact: str
    note: str
    requested_at: datetime | None
    active_at: datetime | None
    ends_at: datetime | None
    updated_at: datetime


class GapGroup(Wire):
    """Subjects of one owner (`pool acme-dedicated`, `customer acme`), and the mails they delivered."""

    owner: str
    subjects: tuple[str, ...]
    delivered: float


class Gap(Wire):
    """Mail to a provider without its loop. `requested`: those of the subjects whose enrolment is requested."""

    provider: str
    name: str
    keyed_by: Kind
    url: str | None
    note: str | None
    delivered: float
    groups: tuple[GapGroup, ...]
    requested: tuple[str, ...]
    summary: str
    action: str


class NoLoop(Wire):
    """Mail to a provider that no enrolment would cover, or nobody can know, and why."""

    provider: str
    name: str
    delivered: float
    kind: NoLoopKind
    note: str | None
    url: str | None
    summary: str


class Gaps(Wire):
    """`gaps` can be closed by enrolling; `without` is what else goes unreported, or nobody can know, and why."""

    gaps: list[Gap]
    without: list[NoLoop]


class GapLine(Gap):
    gap: bool = True


class NoLoopLine(NoLoop):
    gap: bool = False


class LoopVerdict(Wire):
    """Does a loop speak? `chance`: how likely so few reports would be if it did."""

    provider: str
    verdict: str
    reason: str | None
    summary: str
    reports: int
    delivered: int
    since: str
    days: int
    last_report_at: str | None
    expected: float | None = None
    expected_a_day: float | None = None
    chance: float | None = None

    @classmethod
    def shown(cls, verdict: Verdict) -> LoopVerdict:
        stated = {"verdict": verdict.word, "reason": verdict.reason, "summary": verdict.summary}
        return cls.model_validate(dict(verdict.group) | stated | verdict.evidence.encode())
