"""What is known of feedback loops is counted only so often, and for each rule by itself."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from monitor.judging.feed_evidence import FeedEvidence
from monitor.rules.evidence import FeedQuestion
from monitor.rules.signals import signals
from tests.monitor.conftest import T, batch, counted

SHORT, LONG = (
    FeedQuestion(signals()["feedback_reports"], ("provider",), timedelta(days=window), timedelta(days=history))
    for window, history in ((1, 14), (3, 28))
)
LATER = T + timedelta(minutes=4)


class Counting:
    """A store that counts how often it is asked for sums."""

    def __init__(self, store):
        self._store, self.counted, self.lock = store, [], threading.Lock()

    def window_counts(self, measures, by, since, until):
        with self.lock:
            self.counted.append(until - since)
        return self._store.window_counts(measures, by, since, until)

    def __getattr__(self, name):
        return getattr(self._store, name)


@pytest.fixture
def counting(store):
    loop = {"customer": "bolt", "stream": "news", "provider": "yahoo"}
    facts = [counted(T - timedelta(days=days), 10, measure=name, **loop) for days in range(20) for name in ("delivered", "report")]
    store.intake([batch("1", *facts)], T)
    store.roll_up()
    return Counting(store)


def test_two_rules_of_different_windows_are_each_counted_once_in_a_while(counting):
    feeds = FeedEvidence(counting)
    first = [feeds.feeds(rule, T) for rule in (SHORT, LONG)]
    again = [feeds.feeds(rule, LATER) for rule in (SHORT, LONG, SHORT, LONG)]
    assert len(counting.counted) == 2
    assert [len(facts[0].history) for facts in again] == [len(first[0][0].history), len(first[1][0].history)] * 2
    assert [facts[0].reports for facts in again] == [20, 40] * 2  # both ends of the window
    feeds.feeds(SHORT, T + timedelta(minutes=6))
    assert len(counting.counted) == 3


def test_threads_that_ask_at_once_count_once_and_two_owners_share_nothing(counting):
    feeds = FeedEvidence(counting)
    feeds.feeds(LONG, T)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: feeds.feeds(LONG, LATER), range(16)))
    assert all(answer == answers[0] for answer in answers)
    assert len(counting.counted) == 1
    FeedEvidence(counting).feeds(LONG, LATER)
    assert len(counting.counted) == 2
