"""Whether few complaints mean that few complained, or that nobody read the mailboxes."""

from datetime import timedelta

import pytest

from monitor.database.tables import Run
from monitor.facts.coverage import complaints_incomplete
from monitor.facts.runs import Runs
from tests.monitor.conftest import T

EVERY = timedelta(minutes=30)


def run(outcome, minutes_ago):
    return Run(collector="feedback_loop", started_at=T, ended_at=T - timedelta(minutes=minutes_ago), outcome=outcome)


@pytest.mark.parametrize(("last", "good", "why"), [
    (None, None, "were not read yet"),
    (("failed", 1), None, "were not read yet"),
    (("ok", 89), ("ok", 89), None),
    (("ok", 91), ("ok", 91), "were not read since 2026-01-02 01:29 UTC"),
    (("failed", 1), ("ok", 89), None),
    (("partial", 1), ("partial", 1), "some feedback-loop mailboxes could not be read"),
])
def test_complaints_are_complete_while_the_mailboxes_were_read_lately_and_all(last, good, why):
    runs = {"feedback_loop": Runs(run(*last), run(*good) if good else None)} if last else {}
    text = complaints_incomplete(runs, {"feedback_loop": EVERY}, T)
    assert text is None if why is None else text is not None and why in text


def test_a_short_interval_still_leaves_an_hour_and_other_ways_of_complaints_need_no_mailbox():
    runs = {"feedback_loop": Runs(run("ok", 59), run("ok", 59))}
    assert complaints_incomplete(runs, {"feedback_loop": timedelta(minutes=1)}, T) is None
    assert complaints_incomplete({}, {"dnsbl": EVERY}, T) is None
