"""What followed from what, of the incidents that fired just now: read, linked (monitor.incidents.chain), written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from monitor.database.tables import Incident
from monitor.incidents.chain import CAUSES, EFFECTS, LONGEST, Happened, Link, links
from monitor.incidents.rows import fired_since
from monitor.inventory.rows import owners_of_addresses
from monitor.rules.conditions.table import numbers_of

JUST_NOW = timedelta(minutes=10)  # a pass that died before it wrote the links is made good by those after it
_MOST_CAUSES = 2000


def new_links(session: Session, firing: Sequence[Incident], signals: Mapping[str, str], now: datetime) -> list[Link]:
    """What the incidents that fired just now followed from. `signals`: rule → what it is about."""
    effects = [
        row for row in firing
        if signals.get(row.rule) in EFFECTS and row.fired_at is not None and now - row.fired_at <= JUST_NOW
    ]  # fmt: skip
    if not effects:
        return []
    rules = [rule for rule, signal in signals.items() if signal in CAUSES]
    causes = fired_since(session, now - LONGEST - JUST_NOW, rules, _MOST_CAUSES)
    owners = owners_of_addresses(session)
    return links([_happened(row, signals, owners) for row in causes], [_happened(row, signals, owners) for row in effects])


def _happened(row: Incident, signals: Mapping[str, str], owners: Mapping[str, str]) -> Happened:
    numbers = numbers_of(row.evidence)
    targets = {*numbers.targets, *([row.subject["ip"]] if "ip" in row.subject else [])}
    whose = {row.subject.get("customer"), *numbers.customers, *(owners.get(target) for target in targets)}
    assert row.fired_at is not None
    return Happened(
        row.id, row.rule, signals[row.rule], row.subject, row.fired_at, frozenset(str(each) for each in whose if each), frozenset(targets)
    )
