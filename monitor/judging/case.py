"""One verdict about one incident, in the transaction that writes what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from monitor.database.tables import Incident, Suspension
from monitor.rules.model import AnyRule, BrakingRule, Suspend
from monitor.rules.verdict import Answer, Verdict


@dataclass(frozen=True, slots=True)
class Case:
    session: Session
    rule: AnyRule | None  # None: the rule that opened it is configured no more
    incident: Incident
    verdict: Verdict
    now: datetime

    @property
    def advice(self) -> str:
        return self.rule.advice if self.rule else ""

    @property
    def suspend(self) -> Suspend | None:
        """The brake its rule puts on; None for one that only tells."""
        return self.rule.suspend if isinstance(self.rule, BrakingRule) else None

    @property
    def severity(self) -> str:
        """How bad it is now; what it was while the verdict is no breach."""
        if self.rule is None or self.verdict.answer is not Answer.BREACH:
            return self.incident.severity
        return self.verdict.severity or self.rule.severity

    @property
    def members(self) -> list[str]:
        return [member.key for member in self.verdict.members]

    def brakes(self) -> list[Suspension]:
        """The incident's brakes, lifted ones too, oldest first."""
        query = select(Suspension).where(Suspension.incident_id == self.incident.id)
        return list(self.session.exec(query.order_by(col(Suspension.since))))

    def brakes_in_force(self) -> list[Suspension]:
        return [brake for brake in self.brakes() if brake.lifted_at is None]
