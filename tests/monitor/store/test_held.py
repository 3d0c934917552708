"""States and gauges: what is written, and what holds."""

from monitor.records import Latest, Reading
from monitor.store import Store
from tests.monitor.store.conftest import Rows, T, batch, listing, minutes


def told(store: Store, *answers: tuple[float, float | None], **detail: object) -> None:
    """Answers (minute, value), each in a batch of its own."""
    for at, value in answers:
        store.intake([batch(f"{at} {value} {detail}", listing(minutes(at), value, **detail))], minutes(at))


def written(rows: Rows) -> list[tuple[float, float | None, str | None]]:
    return [((row.at - T).total_seconds() / 60, row.value, row.reason) for row in rows(Reading)]


def test_a_state_is_written_when_it_changes_and_only_then(store: Store, rows: Rows):
    told(store, (0, 0), (15, 0), (30, 1), (45, 1), (60, 0))
    assert written(rows) == [(0, 0, None), (30, 1, None), (60, 0, None)]
    [held] = rows(Latest)
    assert (held.asked_at, held.at, held.since, held.value) == (minutes(60), minutes(60), minutes(60), 0)


def test_an_unchanged_answer_still_moves_asked_at_but_not_since(store: Store, rows: Rows):
    told(store, (0, 1), (15, 1), (30, 1))
    [held] = rows(Latest)
    assert (held.asked_at, held.at, held.since) == (minutes(30), minutes(30), T)


def test_unknown_is_written_once_per_reason_and_keeps_the_last_known_value(store: Store, rows: Rows):
    told(store, (0, 1), (15, None), (30, None))
    told(store, (45, None), reason="servfail")
    assert written(rows) == [(0, 1, None), (15, None, "timeout"), (45, None, "servfail")]
    [held] = rows(Latest)
    assert (held.value, held.at, held.reason) == (1, T, "servfail")
    assert (held.unknown_since, held.asked_at) == (minutes(15), minutes(45))
    told(store, (60, 1))
    assert written(rows)[-1] == (60, 1, None)
    [held] = rows(Latest)
    assert (held.reason, held.unknown_since, held.since) == (None, None, T)


def test_changed_codes_are_a_change_though_the_value_is_the_same(store: Store, rows: Rows):
    told(store, (0, 1))
    told(store, (15, 1), codes=["127.0.0.2", "127.0.0.4"])
    told(store, (30, 1), codes=["127.0.0.4", "127.0.0.2"])  # the order of an answer says nothing
    assert written(rows) == [(0, 1, None), (15, 1, None)]
    assert rows(Latest)[0].since == T
    assert rows(Latest)[0].detail["codes"] == ["127.0.0.4", "127.0.0.2"]


def test_a_late_answer_does_not_replace_a_newer_one_and_leaves_the_history_true(store: Store, rows: Rows):
    told(store, (0, 0), (60, 0))
    told(store, (30, 1))
    assert written(rows) == [(0, 0, None), (30, 1, None), (60, 0, None)]
    assert (rows(Latest)[0].value, rows(Latest)[0].at) == (0, minutes(60))


def test_a_late_answer_that_says_the_same_is_not_written(store: Store, rows: Rows):
    told(store, (0, 0), (60, 0))
    told(store, (30, 0))
    assert written(rows) == [(0, 0, None)]


def test_of_two_states_at_one_instant_the_later_told_is_kept(store: Store, rows: Rows):
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
