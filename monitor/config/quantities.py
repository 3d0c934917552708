"""Durations and shares as people write them in configuration and rules: `1h30m`, `7d`, `0.3%`.

A bare number is refused where it could be read in two ways: `15` is no duration, `25` no share.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

from collectors.instants import checked

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_DURATION = re.compile(r"(?:\d{1,9}w)?(?:\d{1,9}d)?(?:\d{1,9}h)?(?:\d{1,9}m)?(?:\d{1,9}s)?")
_PART = re.compile(r"(\d+)([wdhms])")
_PERCENTAGE = re.compile(r"(\d{1,3}(?:\.\d{1,12})?)\s*%")


def parse_duration(value: Any) -> timedelta:
    """`90s`, `15m`, `24h`, `7d`, `2w`, `1h30m` (largest unit first) → timedelta; raises ValueError."""
    if isinstance(value, timedelta):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if not text or not _DURATION.fullmatch(text):
        raise ValueError(f"'{value}' is no duration — write numbers with units, such as 90s, 1h30m or 7d")
    try:
        return timedelta(**{_UNITS[unit]: int(number) for number, unit in _PART.findall(text)})
    except OverflowError:
        raise ValueError(f"'{value}' is longer than can be counted — write a shorter duration") from None


def duration_text(duration: timedelta) -> str:
    """The inverse of `parse_duration`: `1h30m`; whole seconds."""
    left, text = int(duration.total_seconds()), ""
    for unit, name in _UNITS.items():
        number, left = divmod(left, int(timedelta(**{name: 1}).total_seconds()))
        text += f"{number}{unit}" if number else ""
    return text or "0s"


def parse_share(value: Any) -> float:
    """`0.3%` or 0.003 → 0.003, from 0 to 1; raises ValueError."""
    text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    percentage = _PERCENTAGE.fullmatch(text)
    try:
        share = float(percentage[1]) / 100 if percentage else float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError(f"'{value}' is no share — write a percentage such as 0.3%, or a number from 0 to 1")
    return share


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Share = Annotated[float, BeforeValidator(parse_share)]
When = Annotated[AwareDatetime, AfterValidator(checked)]  # an instant as it comes in, within what is believed
