"""One meaning of stale: rules, completeness, the console and listings turn at the same moment."""

from datetime import timedelta

import pytest

from collectors.freshness import AT_LEAST, measure_limit, runs_limit
from collectors.measures import MEASURES
from monitor.console.overview import Freshness, source_of
from monitor.database.tables import Latest, Listing, Run
from monitor.facts.coverage import incomplete
from monitor.facts.runs import Runs
from monitor.judging.evidence import listing_fact, state_fact
from monitor.rules.conditions.table import RULE, judge
from monitor.rules.evidence import Place, Seen
from monitor.rules.in_memory import MemoryEvidence
from monitor.rules.lists import KnownList
from monitor.rules.signals import measure_named
from tests.monitor.conftest import T

MOMENT = timedelta(seconds=1)
ABSENT = RULE.validate_python({"id": "stale", "condition": "absence", "signal": "collector_runs", "by": ["collector"]})


@pytest.mark.parametrize("every", [timedelta(seconds=30), timedelta(minutes=5), timedelta(hours=6)])
@pytest.mark.parametrize(("more", "stale"), [(-MOMENT, False), (MOMENT, True)])
def test_a_collector_is_stale_for_everybody_at_the_same_moment(every, more, stale):
    now = T + runs_limit(every) + more
    run = Run(collector="dnsbl", started_at=T, ended_at=T, outcome="ok")
    runs = Runs(run, run)
    (verdict,) = judge(ABSENT, MemoryEvidence(now, runs=[Seen({"collector": "dnsbl"}, T, every=every)]), now)
    assert (verdict.answer.value == "breach") is stale
    assert (incomplete(["dnsbl"], {"dnsbl": runs}, {"dnsbl": every}, now) is not None) is stale
    assert (source_of("dnsbl", runs, every, now).state is Freshness.STALE) is stale


@pytest.mark.parametrize(("more", "reason"), [(-MOMENT, None), (MOMENT, "stale")])
def test_a_listing_is_as_long_believed_as_its_measure_says_and_so_is_a_rule_about_it(more, reason):
    now = T + measure_limit("listing") + more
    row = Listing(target="192.0.2.7", dnsbl="zen", phase="listed", first_seen_at=T, last_seen_at=T, checked_at=T)
    assert listing_fact(row, Place("192.0.2.7", True), KnownList("zen"), now).unknown_reason == reason
    state = state_fact("listing", Latest(series_id=1, checked_at=T, value=1.0))
    assert state.unknown(now, MEASURES["listing"].max_age) == reason
    assert measure_named("allow_listing").max_age == measure_limit("listing")


def test_a_late_start_is_not_stale():
    assert runs_limit(timedelta(seconds=1)) == AT_LEAST
