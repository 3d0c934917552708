"""The beginning of a line of a system's log: when, on which host, by which program.

RFC 3164 (`Nov 26 18:00:00 host program[123]: `, no year, local time), and ISO 8601 with an offset as rsyslog and journald write
it; a priority (`<22>`) may stand before. Postfix's own log files have the form of RFC 3164.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from collectors.delivery.fields import stated_time, without_year

_LINE = re.compile(
    r"(?:<\d{1,3}>)?(?:(?P<short>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)|(?P<iso>\d{4}-\d\d-\d\dT\S{8,40})) (?P<host>\S{1,255}) (?P<rest>.*)", re.DOTALL
)
_TAG = re.compile(r"(?P<tag>[^\s\[\]:]{1,200})(?:\[\d+\])?: ?(?P<text>.*)", re.DOTALL)


class LogLine(NamedTuple):
    """`tag` is empty where syslog itself speaks (`last message repeated 2 times`)."""

    at: datetime
    host: str
    tag: str
    text: str


def log_line(line: str, written_on: datetime) -> LogLine:
    """Raises ValueError for what does not begin as a line of a log does."""
    begin = _LINE.fullmatch(line)
    if begin is None:
        raise ValueError("does not begin as a line of a log does: a time, a host, a program")
    at = without_year(begin["short"], written_on) if begin["short"] else stated_time(begin["iso"])
    tagged = _TAG.match(begin["rest"])
    return LogLine(at, begin["host"], tagged["tag"], tagged["text"]) if tagged else LogLine(at, begin["host"], "", begin["rest"])
