"""States and gauges: what is written, and what holds."""

import random

import pytest

from monitor.database.tables import Latest, Listing, Reading
from monitor.facts import Store
from tests.monitor.conftest import Rows, T, batch, listing, minutes


def answered(store: Store, *answers: tuple[float, float | None], **detail: object) -> None:
    """Answers (minute, value), each in a batch of its own."""
    for at, value in answers:
        store.intake([batch(f"{at} {value} {detail}", listing(minutes(at), value, **detail))], minutes(at))


def written(rows: Rows) -> list[tuple[float, float | None, str | None]]:
    return [((row.at - T).total_seconds() / 60, row.value, row.reason) for row in rows(Reading)]


def test_a_state_is_written_when_it_changes_and_only_then(store: Store, rows: Rows):
    answered(store, (0, 0), (15, 0), (30, 1), (45, 1), (60, 0))
    assert written(rows) == [(0, 0, None), (30, 1, None), (60, 0, None)]
    [held] = rows(Latest)
    assert (held.checked_at, held.at, held.since, held.value) == (minutes(60), minutes(60), minutes(60), 0)


def test_an_unchanged_answer_still_moves_checked_at_but_not_since(store: Store, rows: Rows):
    answered(store, (0, 1), (15, 1), (30, 1))
    [held] = rows(Latest)
    assert (held.checked_at, held.at, held.since) == (minutes(30), minutes(30), T)


def test_unknown_is_written_once_per_reason_and_keeps_the_last_known_value(store: Store, rows: Rows):
    answered(store, (0, 1), (15, None), (30, None))
    answered(store, (45, None), reason="servfail")
    assert written(rows) == [(0, 1, None), (15, None, "timeout"), (45, None, "servfail")]
    [held] = rows(Latest)
    assert (held.value, held.at, held.reason) == (1, T, "servfail")
    assert (held.unknown_since, held.checked_at) == (minutes(15), minutes(45))
    answered(store, (60, 1))
    assert written(rows)[-1] == (60, 1, None)
    [held] = rows(Latest)
    assert (held.reason, held.unknown_since, held.since) == (None, None, T)


def test_changed_codes_are_a_change_though_the_value_is_the_same(store: Store, rows: Rows):
    answered(store, (0, 1))
    answered(store, (15, 1), codes=["127.0.0.2", "127.0.0.4"])
    answered(store, (30, 1), codes=["127.0.0.4", "127.0.0.2"])  # the order of an answer says nothing
    assert written(rows) == [(0, 1, None), (15, 1, None)]
    assert rows(Latest)[0].since == T
    assert rows(Latest)[0].detail["codes"] == ["127.0.0.4", "127.0.0.2"]


def test_an_explanation_that_changed_replaces_the_old_one_without_a_reading(store: Store, rows: Rows):
    answered(store, (0, 1), text="see https://example.com/1")
    answered(store, (15, 1), text="see https://example.com/2")
    assert written(rows) == [(0, 1, None)]
    [held] = rows(Latest)
    assert (held.detail["text"], held.checked_at, held.since) == ("see https://example.com/2", minutes(15), T)


def test_a_ttl_is_of_its_answer_and_no_reason_to_write_the_explanation_again(store: Store, rows: Rows):
    answered(store, (0, 1), ttl_seconds=300)
    answered(store, (15, 1), ttl_seconds=7)
    [held] = rows(Latest)
    assert (held.detail["ttl_seconds"], held.at) == (300, minutes(15))
    answered(store, (30, 1), ttl_seconds=7, meanings=["SBL"])
    assert rows(Latest)[0].detail == {
        "codes": ["127.0.0.2"], "ttl_seconds": 7, "weight": 0.5, "meanings": ["SBL"],
    }  # fmt: skip


def test_asked_again_and_still_unknown_moves_checked_at_alone(store: Store, rows: Rows):
    answered(store, (0, None), (15, None))
    [held] = rows(Latest)
    assert (held.checked_at, held.at, held.unknown_since, held.detail) == (minutes(15), None, T, {})
    answered(store, (30, 1), (45, None), (60, None))
    [held] = rows(Latest)
    assert (held.checked_at, held.at, held.unknown_since, held.reason) == (minutes(60), minutes(30), minutes(45), "timeout")
    assert held.detail["codes"] == ["127.0.0.2"]


def test_known_again_as_before_is_a_reading_but_holds_since_it_first_held(store: Store, rows: Rows):
    answered(store, (0, 1), (15, None), (30, 1))
    assert written(rows) == [(0, 1, None), (15, None, "timeout"), (30, 1, None)]
    assert (rows(Latest)[0].since, rows(Latest)[0].reason) == (T, None)


def test_changed_and_unchanged_answers_of_one_batch_do_not_mix(store: Store, rows: Rows):
    ips = [f"192.0.2.{number}" for number in range(100, 250)]
    store.intake([batch("1", *(listing(T, 0, ip=ip) for ip in ips))], T)
    answers: list[float | None] = [0, 1, None]
    sweep = [listing(minutes(15 + n), answers[n % 3], ip=ip) for n, ip in enumerate(ips)]
    store.intake([batch("2", *sweep)], minutes(300))
    for n, held in enumerate(rows(Latest)):
        at = minutes(15 + n)
        assert (held.checked_at, held.at, held.since, held.value, held.reason) == [
            (at, at, T, 0, None), (at, at, at, 1, None), (at, T, T, 0, "timeout"),
        ][n % 3]  # fmt: skip
    assert len(rows(Reading)) == len(ips) + sum(1 for n in range(len(ips)) if n % 3)


@pytest.mark.parametrize("seed", range(3))
def test_answers_in_one_batch_end_as_answers_one_by_one(store: Store, rows: Rows, seed: int):
    chance = random.Random(seed)
    story = [
        (minutes(15 * number), chance.choice([0, 0, 1, 1, None]), chance.choice([["127.0.0.2"], ["127.0.0.3"]]))
        for number in range(40)
    ]
    for at, value, codes in story:
        store.intake([batch(f"{at}", listing(at, value, codes=codes if value else []))], minutes(9_000))
    whole = [listing(at, value, codes=codes if value else [], ip="192.0.2.2") for at, value, codes in story]
    store.intake([batch("whole", *whole)], minutes(9_000))
    for model, leave in [(Latest, {"series_id"}), (Reading, {"series_id", "batch_id"}), (Listing, {"id", "target"})]:
        ends: dict[object, list[object]] = {}
        for row in rows(model):
            values = {name: value for name, value in row.model_dump().items() if name not in leave}
            ends.setdefault(getattr(row, "series_id", None) or row.target, []).append(values)
        one_by_one, at_once = ends.values()
        assert one_by_one == at_once


def test_a_late_answer_does_not_replace_a_newer_one_and_leaves_the_history_true(store: Store, rows: Rows):
    answered(store, (0, 0), (60, 0))
    answered(store, (30, 1))
    assert written(rows) == [(0, 0, None), (30, 1, None), (60, 0, None)]
    assert (rows(Latest)[0].value, rows(Latest)[0].at) == (0, minutes(60))


def test_a_late_answer_that_says_the_same_is_not_written(store: Store, rows: Rows):
    answered(store, (0, 0), (60, 0))
    answered(store, (30, 0))
    assert written(rows) == [(0, 0, None)]


def test_of_two_states_at_one_instant_the_later_reported_is_kept(store: Store, rows: Rows):
    store.intake([batch("1", listing(T, 0), listing(T, 1))], T)
    assert written(rows) == [(0, 1, None)]


def test_several_changes_in_one_batch_are_folded_in_the_order_of_time(store: Store, rows: Rows):
    answers = [listing(minutes(at), value) for at, value in [(30, 0.0), (0, 0.0), (15, 1.0), (20, 1.0)]]
    store.intake([batch("1", *answers)], minutes(30))
    assert written(rows) == [(0, 0, None), (15, 1, None), (30, 0, None)]


def test_latest_answers_by_measure_and_fields(store: Store):
    store.intake([batch("1", listing(T, 0), listing(T, 1, ip="192.0.2.9"))], T)
    assert [(series.ip, held.value) for series, held in store.latest("listing")] == [("192.0.2.1", 0), ("192.0.2.9", 1)]
    assert [series.ip for series, _ in store.latest("listing", ip="192.0.2.9")] == ["192.0.2.9"]
    assert store.latest("canary") == []
