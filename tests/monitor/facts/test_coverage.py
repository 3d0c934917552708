"""Whether few complaints mean that few complained, or that nobody read the mailboxes."""

from datetime import timedelta

import pytest

from monitor.database.tables import Run
from monitor.facts.coverage import feeds, incomplete
from monitor.facts.runs import Runs
from tests.monitor.conftest import T

EVERY = timedelta(minutes=30)


def run(outcome, minutes_ago):
    return Run(collector="feedback_loop", started_at=T, ended_at=T - timedelta(minutes=minutes_ago), outcome=outcome)


@pytest.mark.parametrize(("last", "good", "why"), [
    (None, None, "has brought nothing yet"),
    (("failed", 1), None, "has brought nothing yet"),
    (("ok", 89), ("ok", 89), None),
    (("ok", 91), ("ok", 91), "brought nothing since 2026-01-02 01:29 UTC"),
    (("failed", 1), ("ok", 89), None),
    (("partial", 1), ("partial", 1), "could not read all of its sources"),
])
def test_complaints_are_complete_while_the_mailboxes_were_read_lately_and_all(last, good, why):
    runs = {"feedback_loop": Runs(run(*last), run(*good) if good else None)} if last else {}
    text = incomplete(["feedback_loop"], runs, {"feedback_loop": EVERY}, T)
    assert text is None if why is None else text is not None and why in text


def test_a_short_interval_still_leaves_a_quarter_of_an_hour_and_other_ways_of_complaints_need_no_mailbox():
    runs = {"feedback_loop": Runs(run("ok", 14), run("ok", 14))}
    assert incomplete(["feedback_loop"], runs, {"feedback_loop": timedelta(minutes=1)}, T) is None
    assert incomplete([], {}, {"dnsbl": EVERY}, T) is None


def test_who_brings_a_measure_is_derived_from_the_collectors():
    fed = feeds(["feedback_loop", "bounces", "dmarc_reports", "abuse", "dnsbl", "elsewhere"])
    assert {name for name, measures in fed.items() if "complaint" in measures} == {"feedback_loop"}
    assert {name for name, measures in fed.items() if "dmarc_fail" in measures} == {"dmarc_reports"}
    assert {name for name, measures in fed.items() if "listing" in measures} == {"dnsbl"}
    assert fed["abuse"] == frozenset()
