"""When was that? Dates as reports write them: RFC 5322, ISO 8601, seconds since 1970 and finer.

Senders state the same moment as `1773014400`, in milliseconds, microseconds or nanoseconds, with a fraction, as
`2026-03-09T00:00:00Z`, with an offset, a zone's name or a blank in the middle. The unit of a bare number is known
by its size: a mail is never of before 1973 or after 5138. May be wrong for zone names that several countries use.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from collectors.instants import checked

_MOST = 100
_NUMBER = re.compile(r"[+-]?(\d{1,20})(?:[.,](\d{1,9})0*)?")
_COMPACT = re.compile(r"((?:19|20)\d\d)([01]\d)([0-3]\d)(?:([0-2]\d)([0-5]\d)([0-6]\d))?")
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ]\s*(\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))?)?\s*([A-Za-z]{1,5}|[+-]\d\d:?\d\d|[+-]\d\d)?"
)
_UNITS = ((10**11, 1), (10**14, 10**3), (10**17, 10**6), (10**20, 10**9))  # numbers below it are 1/n seconds
# Zone names beside those of RFC 5322, in minutes east of Greenwich
_ZONES = {
    "z": 0, "ut": 0, "utc": 0, "gmt": 0, "wet": 0, "west": 60, "bst": 60, "cet": 60, "cest": 120, "met": 60, "mest": 120,
    "eet": 120, "eest": 180, "msk": 180, "sast": 120, "pkt": 300, "sgt": 480, "hkt": 480, "awst": 480, "jst": 540,
    "kst": 540, "aest": 600, "aedt": 660, "nzst": 720, "nzdt": 780, "est": -300, "edt": -240, "cst": -360, "cdt": -300,
    "mst": -420, "mdt": -360, "pst": -480, "pdt": -420, "brt": -180, "art": -180,
}  # fmt: skip
_ENDS_IN_ZONE = re.compile(r"(.*\d)\s+\(?([A-Za-z]{2,5})\)?")


def moment(value: str) -> datetime | None:
    """The moment a text names as aware UTC, one without a zone being UTC; None when it names none that is believed."""
    text = value.strip()[:_MOST]
    try:
        at = _read(text) if text else None
        return at and checked(at)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _read(text: str) -> datetime | None:
    if number := _NUMBER.fullmatch(text):
        compact = _COMPACT.fullmatch(text)
        return _date(compact) if compact else _since_1970(text, number)
    if iso := _ISO.fullmatch(text):
        return _iso(iso)
    if text[:4].isdigit():
        return _utc(datetime.fromisoformat(text))
    return _rfc5322(text)


def _date(match: re.Match[str]) -> datetime:
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


def _since_1970(text: str, match: re.Match[str]) -> datetime | None:
    if text.startswith("-"):
        return None
    number = int(match[1])
    unit = next((unit for below, unit in _UNITS if number < below), None)
    if unit is None:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=number // unit, microseconds=number % unit * 10**6 // unit)


def _iso(match: re.Match[str]) -> datetime | None:
    date, clock, fraction, zone = match.groups()
    at = datetime.fromisoformat(f"{date}T{clock or '00:00'}")
    at += timedelta(microseconds=int((fraction or "0")[:6].ljust(6, "0")))
    if zone and zone[0].isalpha():
        minutes = _ZONES.get(zone.lower())
        return None if minutes is None else at.replace(tzinfo=UTC) - timedelta(minutes=minutes)
    if zone:
        digits = zone[1:].replace(":", "").ljust(4, "0")
        east = timedelta(hours=int(digits[:2]), minutes=int(digits[2:])) * (-1 if zone[0] == "-" else 1)
        return at.replace(tzinfo=UTC) - east
    return at.replace(tzinfo=UTC)


def _rfc5322(text: str) -> datetime:
    at = parsedate_to_datetime(text)
    named = _ENDS_IN_ZONE.fullmatch(text) if at.tzinfo is None else None
    minutes = _ZONES.get(named[2].lower()) if named else None
    return _utc(at) - timedelta(minutes=minutes or 0)


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
