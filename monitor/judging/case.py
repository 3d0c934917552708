"""One verdict about one incident, in the transaction that writes what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from monitor.config.severity import Severity
from monitor.database.tables import Incident, Suspension
from monitor.restrictions.rows import is_in_force, of_incident
from monitor.rules.effect import RuleEffect
from monitor.rules.model import Rule
from monitor.rules.verdict import Answer, Verdict


@dataclass(frozen=True, slots=True)
class Case:
    session: Session
    rule: Rule | None  # None: the rule that opened it is configured no more
    incident: Incident
    verdict: Verdict
    now: datetime
    read: list[Suspension] | None = None  # the incident's suspensions, where they were read with those of others

    @property
    def runbook(self) -> str:
        return self.rule.runbook if self.rule else ""

    @property
    def effect(self) -> RuleEffect | None:
        """What its rule does to the mail; None for one that only notifies."""
        return self.rule.effect if self.rule else None

    @property
    def severity(self) -> Severity:
        """How bad it is now; what it was while the verdict is no breach."""
        if self.rule is None or self.verdict.answer is not Answer.BREACH:
            return Severity(self.incident.severity)
        return self.verdict.severity or Severity(self.rule.severity)

    @property
    def labels(self) -> dict[str, str]:
        """The rule's own, and what all that is judged has in common beside its group."""
        return {**(self.rule.labels if self.rule else {}), **self.verdict.labels}

    @property
    def members(self) -> list[str]:
        return [member.key for member in self.verdict.members]

    def suspensions(self) -> list[Suspension]:
        """The incident's, lifted ones too, the oldest first."""
        return of_incident(self.session, self.incident.id) if self.read is None else list(self.read)

    def note(self, row: Suspension) -> None:
        """One more was put on."""
        if self.read is not None:
            self.read.append(row)

    def in_force(self) -> list[Suspension]:
        """The incident's that are in force, the oldest first."""
        return [row for row in self.suspensions() if is_in_force(row, self.now)]
