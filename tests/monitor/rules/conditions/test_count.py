from datetime import UTC, datetime, timedelta

from monitor.rules.conditions.count import Count, judge
from monitor.rules.in_memory import Fact, MemoryEvidence
from monitor.rules.verdict import Answer

NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)


def test_of_a_rate_its_events_are_counted_and_named():
    rule = Count(id="many-complaints", condition="count", signal="complaints", by=("customer",), above=10)
    facts = [Fact("complaint", {"customer": "acme"}, NOW - timedelta(hours=hour), 6.0) for hour in (1, 2)]
    (verdict,) = judge(rule, MemoryEvidence(NOW, facts), NOW)
    assert (verdict.answer, verdict.summary) == (Answer.BREACH, "12 complaints since 2026-01-19 12:00 UTC")
