"""Mail without campaigns against the line: rarely wrong, soon right, and about what was sent lately only."""

import math
import random

import pytest

from monitor.rules.detectors.assess import Lines, Mail, since
from monitor.rules.detectors.counts import HOUR, MailCounts
from monitor.rules.detectors.mailing import judge_mailing
from monitor.rules.detectors.reporting import ReportingLag
from tests.monitor.rules.detectors.worlds import binomial

LINES = Lines(days=1500)
NIGHT = 100 * 24  # an hour that begins a day


def mailed(*hours):
    """(hour, delivered, complaints)"""
    counts = MailCounts()
    for hour, delivered, complaints in hours:
        counts.deliver(None, (NIGHT + hour) * HOUR + 60, delivered)
        counts.complain(None, (NIGHT + hour) * HOUR + 120, complaints)
    return Mail(counts, ReportingLag())


def at(hour):
    return (NIGHT + hour) * HOUR + 1800


def test_a_bad_mailing_is_found_within_its_hours_though_the_days_before_were_good():
    good = [(hour, 400, hour % 3 == 0) for hour in range(-400, 9)]
    assert not judge_mailing(mailed(*good), LINES, at(8)).raised
    finding = judge_mailing(mailed(*good, (9, 400, 8), (10, 400, 9)), LINES, at(10))
    assert finding.raised
    assert finding.change.since == (NIGHT + 9) * HOUR
    assert (finding.change.complaints, finding.change.delivered) == (17, 800)


def test_what_was_sent_more_than_two_days_ago_is_of_no_mailing_that_runs():
    bad = mailed((0, 500, 20), (49, 500, 0))
    assert judge_mailing(bad, LINES, at(1)).raised
    assert not judge_mailing(bad, LINES, at(49)).raised


def test_only_mail_without_a_campaign_is_judged_and_only_since_the_last_hold():
    named = mailed()
    named.counts.deliver("july", at(0), 500)
    named.counts.complain("july", at(0), 30)
    assert not judge_mailing(named, LINES, at(0)).raised
    assert not judge_mailing(since(mailed((0, 500, 30)), at(1)), LINES, at(2)).raised


@pytest.mark.parametrize("burst", [True, False])
def test_mail_at_the_line_itself_raises_no_more_than_is_promised(burst):
    """Of c days between false alarms, asked once an hour for 30 days of 60 streams: 60 * 30 / c = 6 at c = 300."""
    raised, rng = 0, random.Random(7)
    for _ in range(60):
        counts = MailCounts()
        for hour in range(30 * 24):
            count = 150 if not burst else 1200 * (hour % 24 in {9, 10, 11})
            counts.deliver(None, hour * HOUR, count)
            counts.complain(None, hour * HOUR, binomial(count, 0.003, rng))
            if judge_mailing(Mail(counts, ReportingLag()), Lines(days=300, least=2), (hour + 1) * HOUR).raised:
                raised += 1
                break
    assert raised <= 6 + 3 * math.sqrt(6)
