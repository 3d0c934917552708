"""Jobs run when they are due, once, in one process, and remember their last turn."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from monitor.jobs.schedule import Schedule, Work
from tests.servers.service import eventually


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
        schedule.close(5)


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
    eventually(lambda: total >= 6, 20)
    assert most == 1


def test_a_job_runs_at_every_turn_though_turns_come_a_little_early_or_late(schedules):
    ran = []
    schedule = schedules("one")
    schedule.add(Work("tick", timedelta(seconds=0.5), lambda: ran.append(time.monotonic())))
    time.sleep(0.05)  # the first turn comes late, as it does while a process starts
    schedule.start()
    eventually(lambda: len(ran) >= 6, 20)
    assert ran[5] - ran[0] < 5 * 0.5 + 0.4


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
    ran = []
    for owner in ("before", "after"):
        schedule = schedules(owner)
        schedule.add(Work("daily", timedelta(days=1), lambda: ran.append(1)))
        schedule.start()
        eventually(lambda: ran, 10)
        time.sleep(0.3)
        schedule.close(5)
    assert ran == [1]


def test_news_have_a_job_run_before_its_turn(schedules):
    ran = []
    schedule = schedules("one")
    schedule.add(Work("hourly", timedelta(hours=1), lambda: ran.append(1)))
    schedule.start()
    eventually(lambda: ran == [1], 10)
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
    eventually(lambda: len(turns) == 2, 10)
    assert "stubborn" in caplog.text
