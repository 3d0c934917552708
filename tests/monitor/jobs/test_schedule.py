"""Jobs run when they are due, once, in one process, and remember their last turn."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from monitor.jobs.schedule import Schedule, Work
from tests.waiting import eventually


def now():
    return datetime.now(UTC)


@pytest.fixture
def schedules(store):
    made = []

    def make(owner, clock=now):
        made.append(Schedule(store, clock, owner))
        return made[-1]

    yield make
    for schedule in made:
        schedule.close()


def test_two_processes_share_a_job_and_never_run_it_at_once(schedules):
    running, most, total, lock = 0, 0, 0, threading.Lock()

    def work():
        nonlocal running, most, total
        with lock:
            running += 1
            total += 1
            most = max(most, running)
        time.sleep(0.05)
        with lock:
            running -= 1

    for owner in ("one", "two"):
        schedule = schedules(owner)
        schedule.add(Work("tick", timedelta(seconds=0.2), work))
        schedule.start()
    eventually(lambda: total >= 6)
    assert most == 1


def test_a_job_runs_at_every_turn_though_turns_come_a_little_early_or_late(schedules):
    ran, moment = [], [datetime(2026, 1, 2, tzinfo=UTC)]
    schedule = schedules("one", lambda: moment[0])
    schedule.add(Work("tick", timedelta(seconds=10), lambda: ran.append(moment[0])))
    for late in (0.4, 0, 0.9, 0.1, 0.5, 0):  # the first turn comes late, as it does while a process starts
        begin = moment[0]
        moment[0] += timedelta(seconds=late)
        schedule.run_due()
        moment[0] = begin + timedelta(seconds=10)
    assert len(ran) == 6


def test_its_own_timer_gives_a_job_its_turns(schedules):
    ran = []
    schedule = schedules("one")
    schedule.add(Work("tick", timedelta(seconds=0.5), lambda: ran.append(time.monotonic())))
    schedule.start()
    eventually(lambda: len(ran) >= 4)
    assert ran[3] - ran[0] >= 3 * 0.5 * 0.5  # later on a busy machine, never all at once


def test_whoever_moves_the_clock_himself_gives_each_job_its_turn_when_it_is_due(schedules):
    ran, moment = [], [datetime(2026, 1, 2, tzinfo=UTC)]
    schedule = schedules("one", lambda: moment[0])
    schedule.add(Work("often", timedelta(seconds=1), lambda: ran.append("often")))
    schedule.add(Work("seldom", timedelta(seconds=2), lambda: ran.append("seldom")))
    for _ in range(3):
        schedule.run_due()
        schedule.run_due()  # nothing is due twice at one moment
        moment[0] += timedelta(seconds=1)
    assert ran == ["often", "seldom", "often", "often", "seldom"]


def test_a_daily_job_is_not_run_again_by_a_restart(schedules):
    ran, turns = [], []
    for owner in ("before", "after"):
        schedule = schedules(owner)
        schedule.add(Work("daily", timedelta(days=1), lambda: ran.append(1)))
        schedule.add(Work("often", timedelta(seconds=0.1), lambda: turns.append(1)))
        schedule.start()
        turns.clear()
        eventually(lambda: ran and len(turns) >= 3)  # "daily" had its chance too
        schedule.close()
    assert ran == [1]


def test_news_have_a_job_run_before_its_turn(schedules):
    ran = []
    schedule = schedules("one")
    schedule.add(Work("hourly", timedelta(hours=1), lambda: ran.append(1)))
    schedule.start()
    eventually(lambda: ran == [1])
    schedule.run_now("hourly")
    assert ran == [1, 1]


def test_an_error_in_a_loop_is_logged_and_the_loop_goes_on(schedules, caplog):
    turns = []

    def body(stop):
        turns.append(1)
        if len(turns) == 1:
            raise RuntimeError("once")
        stop.wait()

    schedule = schedules("one")
    schedule.loop("stubborn", body)
    schedule.start()
    eventually(lambda: len(turns) == 2)
    assert "stubborn" in caplog.text
