"""What is too old goes, what is not stays."""

from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import text

from collectors.observation import Evidence, Parked, Subject, Trace
from monitor.config.settings import Engine
from monitor.database import partitions
from monitor.database.tables import (
    BatchRow,
    Daily,
    EvidenceRow,
    Hourly,
    ParkedRow,
    Reading,
    Run,
    Series,
    TraceRow,
)
from monitor.facts import Retention, Store
from monitor.facts.store import DEFAULT_RETENTION
from monitor.intake.consequences import open_store
from tests.monitor.conftest import Rows, T, batch, counted, listing


def days(count: float) -> timedelta:
    return timedelta(days=count)


def whole(key: str, at) -> object:
    return batch(
        key,
        counted(at),
        traces=(Trace("complaint", at, Subject(customer="acme")),),
        evidence=(Evidence("mail", at, b"x"),),
        parked=(Parked("INBOX/1", "malformed", "", b"x"),),
    )


def test_each_kind_of_fact_goes_when_its_time_is_over_and_parked_input_when_it_was_settled(store: Store, rows: Rows):
    for key, at in [("old", T), ("new", T + days(100))]:
        store.intake([whole(key, at)], at)
        store.close_run(store.open_run("dnsbl", at), at, outcome="ok")
    with store.session() as session:
        session.execute(text("UPDATE parked SET settled_at = at WHERE batch_id = 1"))
    store.roll_up()
    keep = Retention(readings=days(40), hourly=days(40), daily=days(400), traces=days(50), batches=days(60), runs=days(1))
    gone = store.prune(T + days(100), keep)
    assert {name: count for name, count in gone.items() if count} == {
        "reading": 1, "reading_hourly": 1, "trace": 1, "evidence": 1, "batch": 1, "run": 1, "parked": 1,
    }  # fmt: skip
    for model in (Reading, TraceRow, EvidenceRow, BatchRow, Run, ParkedRow):
        assert len(rows(model)) == 1, model
    assert sum(store.prune(T + days(100), keep).values()) == 0


def test_readings_that_go_have_been_rolled_up_before(store: Store, rows: Rows):
    store.intake([batch("1", counted(T, 5))], T)
    store.prune(T + days(150))
    assert rows(Reading) == []
    assert [row.total for row in rows(Hourly)] == [row.total for row in rows(Daily)] == [5]


def test_with_the_defaults_nothing_of_the_last_month_goes(store: Store):
    store.intake([whole("1", T)], T)
    assert sum(store.prune(T + days(29)).values()) == 0


@pytest.mark.real("postgres")
def test_months_are_not_dropped_while_somebody_reads_them_but_the_next_time(postgres_cluster, monkeypatch):
    monkeypatch.setattr(partitions, "LOCK_MILLISECONDS", 100)
    with closing(open_store(postgres_cluster.fresh_database())) as store:
        store.intake([batch("1", counted(T)), batch("2", counted(T + days(40)))], T + days(40))
        with store.reading_session() as session:
            session.execute(text("SELECT count(*) FROM reading"))
            assert store.prune(T + days(130))["reading"] == 0
        assert store.prune(T + days(130))["reading"] == 1
        # days and hours still count what went
        assert store.window_counts(["delivered"], [], T, T + days(99)) == {(): {"delivered": 2}}


def test_more_than_one_transactions_worth_goes_too(store: Store, rows: Rows):
    trace = Trace("bounce", T, Subject(customer="acme"))
    store.intake([batch("1", traces=(trace,) * 12_000)], T)
    assert store.prune(T + days(500))["trace"] in {12_000, 1}  # PostgreSQL counts months
    assert rows(TraceRow) == []


def test_what_is_made_from_readings_must_outlive_them():
    with pytest.raises(ValueError, match="hourly"):
        Retention(readings=days(400), hourly=days(30))


def test_whole_months_go_so_that_a_prune_in_the_middle_of_one_finds_nothing(store: Store, rows: Rows):
    store.intake([batch("1", counted(T), counted(T + days(29)), counted(T + days(31)))], T + days(32))
    keep = Retention(readings=days(40))
    assert store.prune(T + days(60), keep)["reading"] == 0  # 2 January to 3 March: January is not over for 40 days
    assert store.prune(T + days(72), keep)["reading"] in {2, 1}  # PostgreSQL counts months
    assert [row.at for row in rows(Reading)] == [T + days(31)]


def test_a_series_is_forgotten_with_its_last_roll_up_and_made_anew_when_it_is_seen_again(store: Store, rows: Rows):
    store.intake([batch("1", counted(T, campaign="spring"), listing(T, 0))], T)
    keep = Retention(readings=days(40), hourly=days(50), daily=days(60))
    assert store.prune(T + days(100), keep)["series"] == 0  # a daily figure stands until its year is over
    assert store.prune(T + days(800), keep)["series"] == 1
    assert [row.measure for row in rows(Series)] == ["listing"]  # what holds, holds
    # this store still remembers the id it knew, and must not use it
    store.intake([batch("2", counted(T + days(800), 3, campaign="spring"))], T + days(800))
    counts = store.window_counts(["delivered"], ["campaign"], T + days(800), T + days(801))
    assert counts == {("spring",): {"delivered": 3}}


def test_a_store_without_a_configuration_keeps_rows_as_a_configuration_that_says_nothing():
    assert Engine().retention == DEFAULT_RETENTION
