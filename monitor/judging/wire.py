"""How rules and what they say are printed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import Field

from monitor.config.quantities import duration_text
from monitor.config.severity import Severity
from monitor.database.tables import JudgedRule
from monitor.incidents.states import State
from monitor.judging.rule_tests import Outcome
from monitor.rules.model import Mode
from monitor.rules.verdict import Answer
from monitor.rules.wire import VerdictNumbers
from monitor.wire import Wire


class RuleStatus(Wire):
    """A rule as it was last judged. `states`: how many of its groups are in which; `error`: why it could not be judged."""

    id: str
    condition: str
    signal: str
    mode: Mode
    severity: str
    judged_at: datetime
    error: str | None
    states: dict[str, int]

    @classmethod
    def of(cls, row: JudgedRule, states: Mapping[str, int]) -> RuleStatus:
        """A row with its groups counted."""
        return cls.model_validate({**row.model_dump(), "id": row.rule, "states": dict(states)})


class GroupVerdict(Wire):
    """What a rule says of one group: `verdict` now, `state` since `since`, with the numbers in `evidence`."""

    rule: str
    subject: dict[str, str]
    labels: dict[str, str]
    state: State
    verdict: Answer = Field(validation_alias="answer")
    reason: str | None
    severity: Severity
    summary: str
    evidence: VerdictNumbers
    since: datetime
    judged_at: datetime


class TestResult(Wire):
    """One expectation of a rule test. `instead`: what was there, None where it was met."""

    __test__ = False  # for pytest

    file: str
    test: str
    eval_time: str
    rule: str
    passed: bool
    expected: str
    instead: str | None

    @classmethod
    def of(cls, file: str, outcome: Outcome) -> TestResult:
        """An expectation of a file."""
        return cls(
            file=file, test=outcome.test, eval_time=duration_text(outcome.eval_time), rule=outcome.rule,
            passed=outcome.instead is None, expected=outcome.expected, instead=outcome.instead,
        )
