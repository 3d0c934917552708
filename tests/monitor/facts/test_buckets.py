"""Counts in buckets: a window has at least all whole buckets within it, and nothing that lies before it."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from monitor.database.tables import Reading
from monitor.facts import Store
from monitor.facts.numbers import bucket_of
from monitor.intake.consequences import open_store
from tests.monitor.conftest import Rows, T, batch, counted, minutes

WIDTH = timedelta(minutes=5)
NOW = minutes(200)
moments = st.integers(0, 200 * 60).map(lambda second: T + timedelta(seconds=second))


@given(facts=st.lists(moments, max_size=30), since=moments)
def test_a_window_up_to_now_counts_all_since_its_first_whole_bucket_and_nothing_before_it(facts, since):
    counted_in = [at for at in facts if since <= bucket_of(at, NOW, WIDTH) < NOW]
    first_whole = since + (T - since) % WIDTH
    assert {at for at in facts if first_whole <= at < NOW} <= set(counted_in)
    assert all(at >= since for at in counted_in)


@given(facts=st.lists(moments, max_size=30), first=st.integers(0, 40), last=st.integers(0, 40))
def test_a_window_of_whole_buckets_is_exact(facts, first, last):
    since, until = T + first * WIDTH, T + last * WIDTH
    assert [at for at in facts if since <= bucket_of(at, NOW, WIDTH) < until] == [at for at in facts if since <= at < until]


@given(at=moments, width=st.sampled_from([60, 300, 900, 3600]).map(lambda seconds: timedelta(seconds=seconds)))
def test_no_bucket_reaches_over_an_hour_and_none_begins_after_what_it_holds(at, width):
    begin = bucket_of(at, NOW, width)
    assert begin <= at < begin + width
    assert begin.replace(minute=0, second=0) == at.replace(minute=0, second=0)
    assert bucket_of(begin, NOW, width) == begin


def test_counts_of_a_bucket_are_one_reading_and_old_ones_go_by_the_hour(database_url: str, store: Store, rows: Rows):
    bucketed = open_store(database_url, bucket=WIDTH)
    facts = [counted(minutes(at), 1) for at in (0, 1, 4.9, 5, 9)] + [counted(minutes(7), None)]
    old = [counted(minutes(at - 60 * 24 * 3), 1) for at in (1, 31, 59)]
    bucketed.intake([batch("1", *facts, *old)], minutes(10))
    bucketed.close()
    assert [(row.at, row.value) for row in rows(Reading)] == [(minutes(-60 * 24 * 3), 3), (T, 3), (minutes(5), 2)]
    assert store.window_counts(["delivered"], [], T, minutes(10)) == {(): {"delivered": 5}}
