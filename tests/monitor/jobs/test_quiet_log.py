"""A database that is away for a night does not fill the log."""

import logging
import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from monitor.jobs.quiet_log import EVERY_SECONDS, OncePerMinute


@pytest.fixture
def log():
    lines, now = [], [0.0]

    class Handler(logging.Handler):
        def emit(self, record):
            lines.append((record.getMessage(), record.exc_info))

    handler, logger = Handler(), logging.getLogger("test.quiet")
    handler.addFilter(OncePerMinute(lambda: now[0]))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield logger, lines, now
    logger.removeHandler(handler)


def away():
    try:
        raise OperationalError("SELECT secret", {}, sqlite3.OperationalError("database or disk is full"))
    except OperationalError:
        logging.getLogger("test.quiet").exception("judge")


def test_an_error_of_the_database_is_one_line_a_minute_with_how_many_there_were(log):
    _, lines, now = log
    for _ in range(100):
        away()
    now[0] += EVERY_SECONDS
    away()
    assert lines == [
        ("judge: the database cannot be written: disk is full", None),
        ("judge: the database cannot be written: disk is full (99 more like it in the last minute)", None),
    ]


def test_other_warnings_repeat_once_a_minute_too_and_what_is_information_always_passes(log):
    logger, lines, _ = log
    for number in range(5):
        logger.warning("could not notify %s", number)
        logger.info("collector %s", number)
    assert [text for text, _ in lines] == ["could not notify 0", *(f"collector {number}" for number in range(5))]


def test_a_fault_of_the_program_keeps_its_traceback(log):
    logger, lines, _ = log
    try:
        raise RuntimeError("a bug")
    except RuntimeError:
        logger.exception("judge")
    assert lines[0][1] is not None
