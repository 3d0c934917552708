"""New series of a day have a limit, by customer and by key; what is refused is said, kept, and found again."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import timedelta

import pytest
from sqlmodel import select

from collectors.observation import Subject, Trace
from monitor.config.load import read_rules
from monitor.config.settings import NewSeries
from monitor.database.bodies import unpacked
from monitor.database.tables import EvidenceRow, Incident, ParkedRow, Setting, TraceRow
from monitor.facts import Store
from monitor.facts.series_limit import made_today, read_refused, refused_before, refused_since
from monitor.intake.consequences import open_store
from monitor.judging.run import Judge
from monitor.rules.conditions.table import RULE
from monitor.rules.load import SHIPPED
from tests.monitor.api.running import running
from tests.monitor.conftest import Rows, T, batch, counted, listing, minutes

TOMORROW = T + timedelta(days=1)
FULL = (
    "customer acme: 3 new series were made today, the most (engine.new_series.per_customer); readings of further ones are not"
    " counted until 00:00 UTC"
)
Opening = Callable[..., AbstractContextManager[Store]]


@pytest.fixture
def opening(database_url: str) -> Opening:
    """Opens the same database with other limits, as another process does."""

    @contextmanager
    def opened(**limits: int) -> Iterator[Store]:
        with closing(open_store(database_url, new_series=NewSeries(**limits))) as store:
            yield store

    return opened


def campaigns(*names: object, **more: str):
    return tuple(counted(T, campaign=f"c{name}", **more) for name in names)


def total(store: Store, customer: str = "acme") -> float:
    counts = store.window_counts(["delivered"], ["customer"], T - timedelta(days=1), T + timedelta(days=2))
    return counts.get((customer,), {}).get("delivered", 0)


def test_readings_of_series_beyond_the_limit_are_parked_with_the_reason_and_the_rest_counts(opening, rows: Rows):
    with opening(per_customer=3) as store:
        trace = Trace("bounce", T, Subject(customer="acme", campaign="c9"), recipient="jo@example.com")
        (taken,) = store.intake([batch("1", *campaigns(1, 2, 3, 8, 9, 9), traces=(trace,))], T)
        assert {key[1].campaign: why for key, why in taken.refused.items()} == {"c8": FULL, "c9": FULL}
        assert [each.subject.campaign for each in taken.batch.observations if each.measure == "delivered"] == ["c1", "c2", "c3"]
        assert total(store) == 3
        (parked,) = rows(ParkedRow)
        assert (parked.reason, parked.text, parked.collector) == ("series_limit", FULL, "mta")
        assert [reading.subject.campaign for reading, _ in read_refused(unpacked(parked.body))] == ["c8", "c9", "c9"]
        assert [row.campaign for row in rows(TraceRow)] == ["c9"]  # traces are counted by no series
        with store.reading_session() as session:
            assert made_today(session, T) == [("customer acme", 3)]
            assert refused_since(session, T) == [("customer acme", 3)]
        (again,) = store.intake([batch("2", *campaigns(1, 2, 3), *campaigns(1, 2, 3, customer="bolt"))], minutes(1))
        assert again.refused == {}  # what is there already goes on, and others have their own limit
        assert (total(store), total(store, "bolt")) == (6, 3)


def test_the_limit_holds_across_restarts_and_begins_again_with_the_day(opening):
    with opening(per_customer=3) as store:
        store.intake([batch("1", *campaigns(1, 2))], T)
    with opening(per_customer=3) as store:
        assert len(store.intake([batch("2", *campaigns(3, 4))], minutes(1))[0].refused) == 1
        assert len(store.intake([batch("3", *campaigns(5, 6, 7, 8))], TOMORROW)[0].refused) == 1
        store.intake([batch("4", *campaigns(1, customer="bolt"))], TOMORROW)
        store.prune(TOMORROW)  # of another day nothing is remembered, of today all
        assert len(store.intake([batch("5", *campaigns(9))], TOMORROW)[0].refused) == 1
        store.prune(TOMORROW + timedelta(days=1))
        with store.reading_session() as session:
            assert [row.name for row in session.exec(select(Setting)) if row.name.startswith("new_series")] == []


def test_several_processes_share_the_limit(opening, database_url: str):
    refused: list[int] = []
    with opening() as first:  # makes the partitions
        first.intake([batch("0", counted(T, customer="bolt"))], T)

    def take(number: int) -> None:
        with opening(per_customer=50) as store:
            for turn in range(10):
                facts = campaigns(*range(100 * number + 2 * turn, 100 * number + 2 * turn + 2))
                refused.append(len(store.intake([batch(f"{number}/{turn}", *facts)], minutes(turn))[0].refused))

    threads = [threading.Thread(target=take, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(refused), sum(refused)) == (40, 4 * 10 * 2 - 50)
    with opening() as store:
        assert total(store) == 50


def test_what_somebody_brought_has_a_limit_of_its_own_and_is_kept_for_a_while(opening, rows: Rows):
    with opening(per_key=2) as store:
        by_a = batch("1", *campaigns(1), *campaigns(2, customer="bolt"), *campaigns(3, customer="c"), brought_by="key a")
        by_b = batch("2", *campaigns(4), brought_by="key b")
        taken, unharmed = store.intake([by_a, by_b], T)
        assert list(taken.refused) == [("delivered", Subject(customer="c", campaign="c3"))]
        assert "key a: 2 new series were made today, the most (engine.new_series.per_key)" in str(taken.refused)
        assert unharmed.refused == {}
        assert rows(ParkedRow) == []  # whoever brought it hears of it
        assert [row.kind for row in rows(EvidenceRow)] == ["refused"]
        with store.reading_session() as session:
            assert refused_before(session, "mta", "1") == taken.refused
            assert refused_before(session, "mta", "2") == {}


def test_states_and_gauges_have_no_limit_for_their_subjects_are_our_own(opening):
    with opening(per_customer=1, per_key=1) as store:
        (taken,) = store.intake([batch("1", *(listing(T, 0, ip=f"192.0.2.{n}") for n in range(5)), brought_by="key a")], T)
        assert taken.refused == {}
        assert len(store.latest("listing")) == 5


def test_facts_of_no_customer_share_one(opening):
    with opening(per_customer=2) as store:
        facts = [counted(T, customer=None, ip=f"192.0.2.{n}") for n in range(3)]
        assert "facts of no customer: 2 new series" in str(store.intake([batch("1", *facts)], T)[0].refused)


def event(campaign: str, outcome: str = "delivered") -> dict:
    return {"at": "2026-01-02T03:04:00Z", "outcome": outcome, "customer": "acme", "campaign": campaign, "recipient": "jo@gmail.com"}


def test_refused_lines_of_events_are_named_and_a_repeat_is_answered_as_the_first_time(opening, rows: Rows):
    with opening(per_customer=3) as store, running(store) as vigie:
        sender = vigie.client("events")
        lines = [event("a"), event("b"), {"at": "never"}, event("c"), event("d", "bounced"), event("a")]
        for duplicate in (False, True):
            answer = sender.post("/v1/events/generic", json=lines, headers={"Idempotency-Key": "1"})
            assert answer.status_code == 200
            body = answer.json()
            assert (body["accepted"], body["rejected_count"], body["duplicate"]) == (4, 2, duplicate)
            assert body["messages"] == {"delivered": 4}
            assert [row["line"] for row in body["rejected"]] == [3, 5]
            assert body["rejected"][1]["error"] == FULL
        assert [row.reason for row in rows(ParkedRow)] == ["malformed"]
        assert [row.campaign for row in rows(TraceRow)] == ["d"]
        metrics = vigie.client().get("/metrics").text
        assert 'vigie_new_series_today{of="customer"} 3' in metrics
        assert 'vigie_refused_readings_24h{of="customer"} 1' in metrics
        assert "acme" not in metrics  # it asks for no key


def test_events_of_which_nothing_was_counted_are_a_problem_each_time(opening):
    with opening(per_customer=1) as store, running(store) as vigie:
        sender = vigie.client("events")
        sender.post("/v1/events/generic", json=[event("a")])
        for _ in range(2):
            answer = sender.post("/v1/events/generic", json=[event("b"), event("c")], headers={"Idempotency-Key": "2"})
            assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
            assert answer.json()["detail"] == "none of the 2 lines was counted"
            assert [each["at"] for each in answer.json()["errors"]] == ["line 1", "line 2"]
            assert "engine.new_series.per_customer" in answer.json()["errors"][0]["error"]


def test_it_is_an_incident_of_our_own_health_until_it_is_over(opening):
    rules = [RULE.validate_python(source.data) for source in read_rules(SHIPPED)]
    with opening(per_customer=1) as store:
        judge = Judge(store, rules)
        store.intake([batch("1", *campaigns(1, 2, 3))], T)
        judge.judge_all(minutes(1))

        def incident() -> Incident:
            with store.reading_session() as session:
                return session.exec(select(Incident)).one()

        assert (incident().rule, incident().state, incident().subject) == ("too-many-series", "firing", {"aspect": "customer acme"})
        assert "customer acme: 2 readings of new series were not counted" in incident().summary
        for number in range(56, 100, 2):  # a longer pause would stop the timers
            judge.judge_all(minutes(number))
        assert incident().ended_at is not None
