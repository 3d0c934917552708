"""Complaints of old mail count at once, and in whatever order facts came the end is the same."""

import random
from datetime import timedelta

import pytest

from collectors.observation import Batch, Observation, Subject
from monitor.judging.mail_evidence import MailEvidence
from monitor.rules.signals import signals
from tests.monitor.judging.world import START

COMPLAINTS = signals()["complaints"]
STREAMS = [Subject(customer="bolt", stream=name, provider="yahoo") for name in ("newsletter", "offers")]


class Feed:
    def __init__(self, store):
        self.store, self.serial = store, 0

    def brings(self, now, *observations):
        self.serial += 1
        self.store.intake([Batch("fbl", f"k{self.serial}", now, observations)], now)


def seen(evidence, now):
    """Streams → hours → campaigns with what was delivered and complained of."""
    return {
        tuple(each.labels.items()): {
            (hour, campaign): (cell.delivered, cell.complaints)
            for hour, row in each.mail.counts.hours.items() for campaign, cell in row.items()
        }
        for each in evidence.mail(COMPLAINTS, [tuple(STREAMS[0]._asdict().items())], now)
    }  # fmt: skip


@pytest.fixture
def feed(store):
    feed = Feed(store)
    for days_ago in range(30):
        at = START - timedelta(days=days_ago)
        feed.brings(START, *(Observation("delivered", each._replace(campaign=f"d{days_ago}"), at, 500.0) for each in STREAMS))
    return feed


def test_a_complaint_of_mail_ten_days_old_counts_at_once(feed, store):
    evidence = MailEvidence(store)
    feed.brings(START, Observation("complaint", STREAMS[0]._replace(campaign="d1"), START - timedelta(days=1), 1.0))
    seen(evidence, START)
    store.roll_up()
    old = START - timedelta(days=10)
    feed.brings(START, Observation("complaint", STREAMS[0]._replace(campaign="d10"), old, 3.0))
    now = START + timedelta(minutes=1)
    (streams,) = [cells for labels, cells in seen(evidence, now).items() if ("stream", "newsletter") in labels]
    assert streams[int(old.timestamp() // 3600), "d10"] == (500.0, 3)


@pytest.mark.parametrize("seed", range(4))
def test_in_whatever_order_complaints_came_the_end_is_that_of_reading_all_at_once(feed, store, seed):
    rng, evidence, now = random.Random(seed), MailEvidence(store), START
    for _ in range(12):
        days_ago, stream = rng.randrange(30), rng.choice(STREAMS)
        sent = START - timedelta(days=days_ago)
        feed.brings(now, Observation("complaint", stream._replace(campaign=f"d{days_ago}"), sent, float(rng.randint(1, 3))))
        if rng.random() < 0.3:
            store.roll_up()
        if rng.random() < 0.7:
            seen(evidence, now)
        now += timedelta(hours=rng.choice((0, 1, 9)), minutes=1)
    assert seen(evidence, now) == seen(MailEvidence(store), now)
