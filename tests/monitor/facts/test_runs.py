"""Runs of collectors and their freshness."""

import pytest

from monitor.facts import Store
from tests.monitor.conftest import T, minutes


def test_a_run_is_opened_and_closed_with_its_outcome_and_counts(store: Store):
    run = store.open_run("dnsbl", T)
    assert store.last_runs()["dnsbl"].last.outcome == "running"
    store.close_run(run, minutes(1), outcome="partial", reason="timeout", text="1 of 9", observations=9, unknowns=1)
    last = store.last_runs()["dnsbl"].last
    assert (last.started_at, last.ended_at, last.outcome, last.reason) == (T, minutes(1), "partial", "timeout")
    assert (last.observations, last.unknowns, last.batches) == (9, 1, 0)


def test_a_run_cut_short_by_a_crash_is_closed_as_failed_when_the_next_begins(store: Store):
    store.open_run("dnsbl", T)
    store.open_run("feedback_loop", T)
    store.close_run(store.open_run("dnsbl", minutes(15)), minutes(16), outcome="ok")
    with store.reading_session() as session:
        rows = session.connection().exec_driver_sql(
            "SELECT collector, outcome, reason, text FROM run ORDER BY id"
        )
        assert [tuple(row) for row in rows] == [
            ("dnsbl", "failed", "internal", "interrupted"),
            ("feedback_loop", "running", None, None),
            ("dnsbl", "ok", None, None),
        ]


def test_freshness_is_the_last_run_beside_the_last_that_got_answers(store: Store):
    assert store.last_runs() == {}
    store.close_run(store.open_run("dnsbl", T), minutes(1), outcome="ok")
    store.close_run(store.open_run("dnsbl", minutes(15)), minutes(16), outcome="failed", reason="network")
    store.close_run(store.open_run("seed_inbox", T), minutes(1), outcome="failed", reason="auth")
    runs = store.last_runs()
    assert (runs["dnsbl"].last.started_at, runs["dnsbl"].good.started_at) == (minutes(15), T)
    assert runs["seed_inbox"].good is None


def test_the_last_run_is_the_last_opened_whatever_became_of_it(store: Store):
    for number, outcome in enumerate(["ok", "partial", "failed", "ok", "failed", None]):
        run = store.open_run("dnsbl", minutes(number))
        if outcome:
            store.close_run(run, minutes(number), outcome=outcome)
    store.open_run("seed_inbox", T)
    runs = store.last_runs()
    assert list(runs) == ["dnsbl", "seed_inbox"]
    assert (runs["dnsbl"].last.started_at, runs["dnsbl"].last.outcome) == (minutes(5), "running")
    assert (runs["dnsbl"].good.started_at, runs["seed_inbox"].good) == (minutes(3), None)


def test_a_run_ends_in_a_way_we_have_a_word_for(store: Store):
    with pytest.raises(ValueError, match="'fine' is not a valid Outcome"):
        store.close_run(store.open_run("dnsbl", T), T, outcome="fine")


def test_a_run_counts_only_what_has_a_column(store: Store):
    with pytest.raises(ValueError, match="cheese"):
        store.close_run(store.open_run("dnsbl", T), T, outcome="ok", cheese=1)
