"""The rules are judged when facts arrive and when a timer runs out, by one process at a time."""

import threading
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from monitor.database.tables import Customer
from monitor.intake.consequences import open_store
from monitor.jobs.judge_loop import JudgeLoop, LeaseLostError
from monitor.jobs.schedule import LEASE
from tests.monitor.conftest import T, batch, counted
from tests.waiting import eventually

HOUR = timedelta(hours=1)


def now():
    return datetime.now(UTC)


@contextmanager
def running(loop):
    stop = threading.Event()
    thread = threading.Thread(target=loop.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        loop.wake()
        thread.join(30)
        assert not thread.is_alive()


def test_facts_of_this_process_wake_the_judge_and_what_comes_after_a_pass_follows(store):
    passes, after = [], []
    loop = JudgeLoop(store, lambda at: passes.append(at) or HOUR, now, "here", afterwards=lambda: after.append(1))
    with running(loop):
        eventually(lambda: len(after) == 1)
        loop.wake()
        eventually(lambda: len(after) == 2)
    assert len(passes) == 2


def test_facts_another_process_took_in_are_seen(store, database_url):
    passes = []
    with running(JudgeLoop(store, lambda at: passes.append(at) or HOUR, now, "here")):
        eventually(lambda: len(passes) == 1)
        with closing(open_store(database_url)) as other:
            other.intake([batch("1", counted(T))], T)
        eventually(lambda: len(passes) == 2)


def test_a_timer_that_runs_out_is_judged_without_any_news(store):
    passes = []
    with running(JudgeLoop(store, lambda at: passes.append(at) or timedelta(milliseconds=10), now, "here")):
        eventually(lambda: len(passes) >= 3)


def test_while_another_process_judges_this_one_does_not(store):
    passes = []
    loop = JudgeLoop(store, lambda at: passes.append(at) or HOUR, now, "here")
    fence = store.claim("judge", "there", now(), LEASE, due_only=False)
    assert loop.judge_once() < HOUR
    assert passes == []
    store.done("judge", "there", fence, now(), now())
    assert loop.judge_once() == HOUR
    assert len(passes) == 1


def test_a_pass_that_fails_leaves_the_lease_to_the_next(store):
    def fail(_):
        raise RuntimeError("no room")

    with pytest.raises(RuntimeError):
        JudgeLoop(store, fail, now, "here").judge_once()
    assert JudgeLoop(store, lambda _: HOUR, now, "there").judge_once() == HOUR


def test_news_are_judged_alone_until_a_whole_pass_is_due(store):
    passes = []
    wait = [HOUR]
    loop = JudgeLoop(store, lambda _: passes.append("whole") or wait[0], now, "here",
                     news=lambda _: passes.append("news") or timedelta(0))  # fmt: skip
    with running(loop):
        eventually(lambda: passes == ["whole"])
        wait[0] = timedelta(0)
        loop.wake()
        eventually(lambda: passes[1:3] == ["news", "whole"])  # as soon as the news said


def test_news_are_judged_by_a_whole_pass_where_another_process_judged_between(store):
    passes = []
    loop = JudgeLoop(store, lambda _: passes.append("whole") or HOUR, now, "here", news=lambda _: passes.append("news") or HOUR)
    with running(loop):
        eventually(lambda: passes == ["whole"])
        eventually(lambda: _other_judges(store))
        loop.wake()
        eventually(lambda: len(passes) == 2)
        loop.wake()
        eventually(lambda: len(passes) == 3)
    assert passes == ["whole", "whole", "news"]


def test_news_that_want_a_whole_pass_get_one(store):
    passes = []
    loop = JudgeLoop(store, lambda _: passes.append("whole") or HOUR, now, "here", news=lambda _: None)
    with running(loop):
        eventually(lambda: len(passes) == 1)
        loop.wake()
        eventually(lambda: len(passes) == 2)


def test_a_pass_whose_lease_another_took_writes_nothing_more(store):
    caught = []

    def judge(_):
        with store.session() as session:
            loop.check(session)  # still ours
        with store.engine.begin() as connection:
            connection.execute(text("UPDATE job SET lease_owner = NULL, lease_until = NULL"))
        assert store.claim("judge", "there", now(), LEASE, due_only=False) is not None
        try:
            with store.session() as session:
                loop.check(session)
                session.add(Customer(id="acme", name="Acme"))
        except LeaseLostError as error:
            caught.append(error)
            raise
        return HOUR

    loop = JudgeLoop(store, judge, now, "here")
    with pytest.raises(LeaseLostError):
        loop.judge_once()
    with store.reading_session() as session:
        assert session.get(Customer, "acme") is None
    assert len(caught) == 1
    assert store.claim("judge", "elsewhere", now(), LEASE, due_only=False) is None, "the lease of the other stands"


def test_nobody_takes_the_lease_while_a_pass_writes(store, database_url):
    """What was checked holds until the transaction ends."""
    taken = threading.Event()

    def steal():
        with closing(open_store(database_url)) as other, other.engine.begin() as connection:
            connection.execute(text("UPDATE job SET fence = fence + 1"))
        taken.set()

    def judge(_):
        thread = threading.Thread(target=steal)
        with store.session() as session:
            loop.check(session)
            thread.start()
            assert not taken.wait(0.2)
        thread.join(30)
        assert taken.is_set()
        return HOUR

    loop = JudgeLoop(store, judge, now, "here")
    assert loop.judge_once() == HOUR


def test_the_lease_of_a_long_pass_is_renewed(store, monkeypatch):
    monkeypatch.setattr("monitor.jobs.schedule.RENEW_SECONDS", 0.01)

    def until():
        with store.engine.connect() as connection:
            return connection.execute(text("SELECT lease_until FROM job WHERE name = 'judge'")).scalar_one()

    def judge(_):
        first = until()
        eventually(lambda: until() > first)
        return HOUR

    assert JudgeLoop(store, judge, now, "here").judge_once() == HOUR


def _other_judges(store):
    fence = store.claim("judge", "there", now(), LEASE, due_only=False)
    return fence is not None and store.done("judge", "there", fence, now(), now())
