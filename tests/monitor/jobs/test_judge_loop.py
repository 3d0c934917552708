"""The rules are judged when facts arrive and when a timer runs out, by one process at a time."""

import threading
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from monitor.intake.consequences import open_store
from monitor.jobs.judge_loop import JudgeLoop
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
