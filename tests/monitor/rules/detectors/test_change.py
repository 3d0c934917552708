"""The detector of a stream: how often it is wrong where nothing changed, and that order does not matter."""

import math
import random
from dataclasses import replace

import pytest

from monitor.rules.detectors.assess import (
    Lines,
    Mail,
    campaign_evidence,
    judge_campaign,
    judge_line,
    judge_release,
    judge_stream,
    since,
)
from monitor.rules.detectors.change import Raised, Sent, find_change
from monitor.rules.detectors.clustering import Spreads
from monitor.rules.detectors.counts import HOUR, MailCounts
from monitor.rules.detectors.reporting import ReportingLag
from tests.monitor.rules.detectors.worlds import DAY, Complaints, Stream, slots


def never(rate):
    return lambda _at: rate


def mail_of(stream, days, seed=1, counts=None):
    """All that is known of it at the end."""
    rng = random.Random(seed)
    counts, lag = counts or MailCounts(), ReportingLag()
    complaints = Complaints(rng, lag=stream.lag)
    for slot in slots(stream, rng, days):
        if slot.count:
            counts.deliver(slot.campaign, slot.at, slot.count)
            complaints.sent(slot.at, slot.campaign, slot.count, slot.rate)
        for known_at, at, campaign in complaints.known(slot.at):
            counts.complain(campaign, at)
            lag.add(at, known_at)
    return Mail(counts, lag)


def first_alarm(rng, threshold, rate, days):
    """Days of evidence until M ≥ threshold, on independent complaints at a rate; `days` where it does not come."""
    counts, lag = MailCounts(), ReportingLag()
    raised = Raised(0.001, (0.003, 0.006, 0.012, 0.03), (0.25, 0.25, 0.25, 0.25))
    spreads = Spreads(counts, lag, 0, (1.0, 0, 0, 0, 0, 0))  # nothing but the smallest rho
    complaints = Complaints(rng, lag=False)
    for slot in slots(Stream(1000, 0, never(rate)), rng, days):
        counts.deliver(slot.campaign, slot.at, slot.count)
        complaints.sent(slot.at, slot.campaign, slot.count, slot.rate)
        known = list(complaints.known(slot.at))
        for _, at, campaign in known:
            counts.complain(campaign, at)
        now = slot.at + 600
        if known and find_change(Sent(counts, lag), raised, (-math.inf, now), spreads).evidence >= threshold:
            return now / DAY
    return days


def test_the_mean_time_to_a_false_alarm_is_what_is_promised():
    """At the very rate taken for innocent: no less than the threshold, but for chance."""
    rng = random.Random(11)
    threshold, runs = 6, 200
    times = [first_alarm(rng, threshold, 0.001, 200) for _ in range(runs)]
    mean = sum(times) / runs
    error = (sum((each - mean) ** 2 for each in times) / runs / (runs - 1)) ** 0.5
    assert error < 0.15 * threshold
    assert mean + 2 * error >= threshold, (mean, error)
    assert sum(first_alarm(rng, threshold, 0.006, 6) for _ in range(20)) / 20 < 1.5


def test_a_stream_that_turns_bad_is_found_with_when_it_did():
    mail = mail_of(Stream(10_000, 0, lambda at: 0.006 if at >= 9 * DAY else 0.0008), 10)
    finding = judge_stream(mail, Lines(), 10 * DAY)
    assert finding.raised
    assert finding.change.since == pytest.approx(9 * DAY, abs=4 * HOUR)
    assert finding.change.rate == pytest.approx(0.006, rel=0.3)


def test_a_rate_between_healthy_and_the_line_is_not_above_the_line():
    mail = mail_of(Stream(20_000, 0, never(0.002)), 14)
    assert not judge_stream(mail, Lines(), 14 * DAY).raised
    assert not judge_line(mail, Lines(), 14 * DAY).raised


def test_the_line_is_judged_by_evidence_of_its_own():
    mail = mail_of(Stream(20_000, 0, lambda at: 0.006 if at >= 7 * DAY else 0.0008), 9)
    assert judge_line(mail, Lines(days=600), 9 * DAY).raised
    assert not judge_line(mail, Lines(days=600), 7 * DAY).raised


def test_one_bad_campaign_is_found_and_no_other():
    counts = mail_of(Stream(10_000, 0, never(0.0008)), 7).counts
    for hour in range(4):
        counts.deliver("bought", 7 * DAY + hour * HOUR, 500)
        counts.complain("bought", 7 * DAY + hour * HOUR, 12)
    mail, now = Mail(counts, ReportingLag()), 7 * DAY + 5 * HOUR
    enough = campaign_evidence(mail, Lines(), now)
    held = {name for name in counts.first_hours if name and judge_campaign(mail, name, Lines(), now).evidence >= enough}
    assert held == {"bought"}
    restarted = Mail(counts, ReportingLag(), restarts={"bought": now})
    assert judge_campaign(restarted, "bought", Lines(), now).evidence < 2


def test_late_complaints_in_any_order_give_the_same_end():
    rng = random.Random(5)
    delivered = [(f"c{number % 7}", number * 1800.0, 200) for number in range(400)]
    complained = [(f"c{number % 7}", number * 1800.0) for number in range(400) if number % 3 == 0 or number > 380]
    ends = set()
    for _ in range(4):
        counts, lag = MailCounts(), ReportingLag()
        facts = [(0, fact) for fact in delivered] + [(1, fact) for fact in complained]
        rng.shuffle(facts)
        for is_complaint, fact in facts:
            if is_complaint:
                counts.complain(*fact)
                lag.add(fact[1], fact[1] + 7200)
            else:
                counts.deliver(*fact)
        now = 400 * 1800.0
        lag.learn(now)
        change = judge_stream(Mail(counts, lag), Lines(), now).change
        ends.add((f"{change.evidence:.9e}", change.since, change.complaints, f"{change.exposed:.6f}"))
    assert len(ends) == 1


def test_evidence_begins_anew_after_a_lift_and_old_mail_does_not_convict_again():
    mail = mail_of(Stream(10_000, 0, lambda at: 0.006 if at >= 7 * DAY else 0.0008), 9)
    assert judge_stream(mail, Lines(), 9 * DAY).raised
    lifted = replace(since(mail, 9 * DAY), bad=((7 * DAY, 9 * DAY),))
    assert not judge_stream(lifted, Lines(), 9 * DAY).raised
    for number in range(40):  # late complaints of mail sent before
        mail.counts.complain("8pm", 8.6 * DAY + number)
    assert not judge_stream(lifted, Lines(), 9.5 * DAY).raised
    for hour in range(12):
        mail.counts.deliver("again", (9 * 24 + hour) * HOUR, 500)
        mail.counts.complain("again", (9 * 24 + hour) * HOUR, 4)
    assert judge_stream(lifted, Lines(), 9.5 * DAY).raised


def test_mail_let_through_clears_a_repaired_stream_and_not_a_bad_one():
    for rate, clear, still in ((0.0006, True, False), (0.008, False, True)):
        mail = since(mail_of(Stream(4_000, 0, never(rate)), 2, seed=3), 0)
        release = judge_release(mail, Lines(), 0.006, 2 * DAY)
        assert (release.clear, release.still) == (clear, still), rate


def test_a_little_mail_without_complaints_clears_nothing():
    counts = MailCounts()
    counts.deliver("c", 100.0, 300)
    assert not judge_release(Mail(counts, ReportingLag()), Lines(), 0.006, DAY).clear
