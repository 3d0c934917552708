"""One verdict about one incident, in the transaction that writes what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from monitor.records import Incident, Suspension
from monitor.rules.model import ComplaintRateRule, ListingRule
from monitor.rules.verdict import Verdict

AnyRule = ListingRule | ComplaintRateRule


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
    def members(self) -> list[str]:
        return [member.key for member in self.verdict.members]

    def brakes(self) -> list[Suspension]:
        """The incident's brakes, lifted ones too, oldest first."""
        query = select(Suspension).where(Suspension.incident_id == self.incident.id)
        return list(self.session.exec(query.order_by(col(Suspension.since))))

    def brakes_in_force(self) -> list[Suspension]:
        return [brake for brake in self.brakes() if brake.lifted_at is None]
