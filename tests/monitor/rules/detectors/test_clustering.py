import random

import pytest

from monitor.rules.detectors.clustering import USUAL, Spreads, words
from monitor.rules.detectors.counts import HOUR, MailCounts
from monitor.rules.detectors.reporting import ReportingLag
from tests.monitor.rules.detectors.worlds import binomial

DAY = 24 * HOUR


def clusters(correlation, mails, number, seed=2):
    rng = random.Random(seed)
    size = 1 / correlation - 1 if correlation else 0
    for _ in range(number):
        rate = rng.betavariate(0.0008 * size, 0.9992 * size) if correlation else 0.0008
        yield binomial(mails, rate, rng), float(mails)


def learnt(correlation, mails, number, seed=2, usual=USUAL):
    counts = MailCounts()
    for place, (complaints, sent) in enumerate(clusters(correlation, mails, number, seed)):
        counts.deliver(f"c{place}", place * DAY, sent)
        counts.complain(f"c{place}", place * DAY, complaints)
    return Spreads(counts, ReportingLag(), number * DAY, usual).before(24 * number)


@pytest.mark.parametrize("correlation", [0.0004, 0.0012, 0.012])
def test_how_much_campaigns_differ_is_learnt_from_sixty_of_them(correlation):
    values = sorted(learnt(correlation, 20_000, 60, seed).correlation for seed in range(9))
    assert values[4] == pytest.approx(correlation, rel=0.5)


def test_campaigns_that_do_not_differ_are_taken_to_differ_little():
    assert learnt(0, 20_000, 60).correlation < 0.0001


def test_what_is_known_too_little_of_stays_as_usual():
    assert learnt(0.01, 50, 10).correlation == pytest.approx(learnt(0.01, 50, 0).correlation, rel=0.2)
    assert learnt(0, 50, 0).weights == USUAL


def test_what_was_bad_is_left_out():
    counts = MailCounts()
    for day in range(20):
        counts.deliver(f"c{day}", day * DAY, 20_000)
        counts.complain(f"c{day}", day * DAY, 120 if day >= 15 else 16)
    known = Spreads(counts, ReportingLag(), 20 * DAY).before(24 * 20)
    without = Spreads(counts, ReportingLag(), 20 * DAY, bad=[(15 * DAY, 20 * DAY)]).before(24 * 20)
    assert without.correlation < 0.0001 < known.correlation
    assert (without.clusters, known.clusters) == (15, 20)


def test_it_is_said_in_words():
    assert words(learnt(0, 20_000, 60), 500) == "its last 60 campaigns differ little: every mail counts"
    assert "say as much as" in words(learnt(0.01, 20_000, 60), 20_000)
    assert words(learnt(0, 500, 0), 500).startswith("too few campaigns")


def test_a_campaign_that_runs_for_days_is_a_cluster_a_day_from_its_first_mail():
    counts = MailCounts()
    for hour in (30, 20, 50):  # out of order: the first is learnt second
        counts.deliver("welcome", hour * HOUR, 10)
    counts.complain("welcome", 50 * HOUR)
    assert {key: (each.delivered, each.complaints) for key, each in counts.clusters.items()} == {
        ("welcome", 0): (20, 0), ("welcome", 1): (10, 1),
    }  # fmt: skip
    counts.forget(49 * HOUR)
    assert set(counts.hours) == {50}


def test_mail_without_a_campaign_is_a_cluster_a_day():
    counts = MailCounts()
    for hour in (23, 24, 47):
        counts.deliver(None, hour * HOUR, 10)
    assert {key[1]: each.delivered for key, each in counts.clusters.items()} == {0: 10, 1: 20}
