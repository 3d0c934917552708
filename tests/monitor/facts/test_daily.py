"""A provider's figures of its days: reported anew they are revisions, and nothing adds up that is the same day's."""

import itertools
import random
from datetime import timedelta

import pytest

from collectors.observation import Observation, Subject
from monitor.database.tables import Daily, Hourly, Latest, Reading
from monitor.facts import Store
from tests.monitor.conftest import Rows, T, batch

DAY = timedelta(days=1)
FIRST = T.replace(hour=0)


def days(count):
    return FIRST + count * DAY


def figure(day, value, measure="google_error_count", reason="no_data", domain="news.acme.example", aspect=None):
    subject = Subject(customer="acme", domain=domain, provider="gmail", aspect=aspect)
    return Observation(measure, subject, days(day), value, reason if value is None else None)


@pytest.fixture
def reported(store: Store):
    """Report figures on a day."""

    numbers = itertools.count()

    def report(on, *figures):
        store.intake([batch(f"pull {next(numbers)}", *figures, source="google_postmaster")], days(on))

    return report


def total(store, since, until, known_by=None):
    counts = store.window_counts(["google_error_count"], ["domain"], days(since), days(until),
                                 known_by=None if known_by is None else days(known_by))
    return counts.get(("news.acme.example",), {}).get("google_error_count")


def values(rows):
    return [(row.at, row.known_at, row.value, row.reason) for row in sorted(rows(Reading), key=lambda row: (row.at, row.batch_id))]


def test_a_figure_reported_again_leaves_no_new_reading(store: Store, reported, rows: Rows):
    reported(3, figure(0, 12), figure(1, 0))
    reported(4, figure(0, 12), figure(1, 0))
    assert values(rows) == [(days(0), days(3), 12, None), (days(1), days(3), 0, None)]


def test_another_value_of_the_same_day_is_a_revision_with_its_own_known_at(store: Store, reported, rows: Rows):
    reported(3, figure(0, 12))
    reported(5, figure(0, 15))
    assert values(rows) == [(days(0), days(3), 12, None), (days(0), days(5), 15, None)]


def test_back_to_the_first_value_is_a_revision_too(store: Store, reported):
    for on, value in ((3, 12), (4, 15), (5, 12)):
        reported(on, figure(0, value))
    assert [total(store, 0, 1, known_by) for known_by in (2, 3, 4, 5)] == [None, 12, 15, 12]


@pytest.mark.parametrize("rolled_up", [False, True])
def test_a_window_counts_each_day_once_and_as_it_was_known(store: Store, reported, rolled_up):
    reported(3, figure(0, 12), figure(1, 5))
    reported(4, figure(0, 20), figure(2, 1))
    if rolled_up:
        store.roll_up(1000)
    assert total(store, 0, 3) == 26
    assert total(store, 0, 3, known_by=3) == 17
    assert total(store, 1, 3) == 6


def test_hours_and_days_hold_the_newest_figure_and_not_the_sum(store: Store, reported, rows: Rows):
    reported(3, figure(0, 12))
    store.roll_up(1000)
    reported(4, figure(0, 7))
    store.roll_up(1000)
    for table in (Hourly, Daily):
        assert [(row.total, row.lowest, row.highest, row.last) for row in rows(table)] == [(7, 7, 7, 7)]


def test_a_day_that_is_no_longer_reported_keeps_its_figure(store: Store, reported, rows: Rows):
    reported(3, figure(0, 12))
    reported(4, figure(0, None))
    assert values(rows) == [(days(0), days(3), 12, None)]


def test_a_day_that_was_not_known_is_known_once_it_is_reported(store: Store, reported, rows: Rows):
    reported(3, figure(0, None))
    reported(4, figure(0, None))
    reported(5, figure(0, 0))
    assert values(rows) == [(days(0), days(3), None, "no_data"), (days(0), days(5), 0, None)]
    assert total(store, 0, 1) == 0
    assert total(store, 0, 1, known_by=4) is None


def test_a_rate_is_neither_summed_nor_averaged_over_a_window(store: Store, reported):
    reported(4, figure(0, 0.001, "google_spam_rate"), figure(1, 0.002, "google_spam_rate"))
    assert store.window_counts(["google_spam_rate"], ["domain"], days(0), days(4)) == {}


def test_the_newest_day_is_what_holds_and_an_older_one_changes_nothing(store: Store, reported, rows: Rows):
    reported(4, figure(2, 5), figure(0, 99))
    reported(5, figure(1, 77))
    assert [(row.at, row.value) for row in rows(Latest)] == [(days(2), 5)]
    reported(6, figure(2, 6))
    assert [(row.at, row.value) for row in rows(Latest)] == [(days(2), 6)]


def test_the_last_good_figure_never_looks_current_and_is_revised_all_the_same(store: Store, reported, rows: Rows):
    reported(3, figure(0, 5))
    reported(5, figure(2, None))
    held = rows(Latest)[0]
    assert (held.value, held.at, held.reason, held.unknown_since) == (5, days(0), "no_data", days(2))
    reported(6, figure(0, 8))
    held = rows(Latest)[0]
    assert (held.value, held.at, held.reason) == (8, days(0), "no_data")


def test_of_two_figures_of_a_day_in_one_batch_the_later_counts(store: Store, reported, rows: Rows):
    reported(3, figure(0, 1), figure(0, 2))
    assert [row[2] for row in values(rows)] == [2]


def test_what_others_sum_is_not_touched(store: Store, reported):
    delivered = Observation("delivered", Subject(domain="news.acme.example"), days(0), 10)
    store.intake([batch("a", delivered), batch("b", delivered)], days(1))
    reported(3, figure(0, 4))
    counts = store.window_counts(["delivered", "google_error_count"], ["domain"], days(0), days(2))
    assert counts == {("news.acme.example",): {"delivered": 20, "google_error_count": 4}}


def test_sixty_days_with_revisions_outages_and_late_data_equal_the_truth_as_of_every_day(store: Store, reported):
    """What a window says as known by a day is what a provider had reported by then."""
    dice = random.Random(13)
    known: dict[int, dict[int, float]] = {}  # day of knowing → day → figure
    reported_by: dict[int, float] = {}
    for on in range(3, 60):
        if dice.random() > 0.2:  # else an outage
            new = {day: float(dice.choice([0, 3, 8, dice.randrange(500)]))
                   for day in range(max(0, on - 9), on - 1) if dice.random() < (0.3 if day in reported_by else 0.8)}
            reported_by |= new
            again = [figure(day, value) for day, value in reported_by.items() if day >= on - 9 and day not in new]
            reported(on, *again, *(figure(day, value) for day, value in new.items()))
        known[on] = dict(reported_by)
        if on % 17 == 0:
            store.roll_up(1000)
    for on, figures in known.items():
        for since, until in ((0, 60), (on - 10, on - 3)):
            truth = [value for day, value in figures.items() if since <= day < until]
            assert total(store, max(since, 0), max(until, 0), known_by=on) == (sum(truth) if truth else None)
    store.roll_up(10_000)
    assert total(store, 0, 60) == sum(reported_by.values())
