import random

import pytest

from monitor.rules.detectors.reporting import ReportingLag

DAY = 86_400


def learnt(delays, days=10):
    """A steady stream whose complaints come after these delays, seen from the midnight it began to one `days` later."""
    lag = ReportingLag()
    for number, delay in enumerate(delays):
        at = DAY * days * number / len(delays)
        if at + delay < days * DAY:
            lag.add(at, at + delay)
    lag.learn(days * DAY + 60)
    return lag


def test_nothing_is_taken_to_be_late_before_complaints_have_said_so():
    lag = ReportingLag()
    lag.learn(DAY)
    assert lag.share(0) == lag.share(3600) == 1.0


def test_complaints_that_come_at_once_leave_every_mail_exposed():
    assert learnt([30] * 200).share(600) == pytest.approx(1, abs=0.01)


def test_the_share_known_by_age_is_learnt_though_what_is_to_come_is_missing():
    rng = random.Random(3)
    lag = learnt([min(rng.lognormvariate(9.575, 1.3), 3 * DAY) for _ in range(4000)])  # median 4 h
    for hours, share in ((1, 0.143), (4, 0.5), (12, 0.80), (24, 0.916)):
        assert lag.share(hours * 3600) == pytest.approx(share, abs=0.03), hours
    assert lag.share(4 * DAY) == 1
    assert lag.median_hours() == pytest.approx(4, abs=0.5)


def test_a_day_is_judged_by_what_was_known_when_it_began():
    lag = ReportingLag()
    for number in range(400):
        lag.add(number * 60, 2 * DAY)
    lag.learn(2 * DAY + 1)
    assert lag.share(3600) == 1
    lag.learn(3 * DAY + 1)
    assert lag.share(3600) < 0.05


def test_what_is_weeks_old_is_forgotten():
    lag = ReportingLag()
    for number in range(200):
        lag.add(number * 60, DAY)
    lag.learn(2 * DAY)
    assert lag.share(3600) < 0.1
    lag.learn(40 * DAY)
    assert lag.share(3600) == 1
