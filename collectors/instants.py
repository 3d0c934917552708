"""Which instants are believed: every one that comes in passes here (API, commands, mail, DNS, imports).

A date that the database, the calendar or a time zone cannot hold (year 9999 west of Greenwich is year 10000 in
UTC) must not get past the place where it came in: a row nobody can read stops whoever reads it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)


def checked(at: datetime) -> datetime:
    """The instant as aware UTC. Raises ValueError without a zone, before 1970 or from 2100 on."""
    if at.tzinfo is None or at.utcoffset() is None:
        raise ValueError(f"{at!r} carries no time zone")
    try:
        instant = at.astimezone(UTC)
    except OverflowError:
        instant = None
    if instant is None or not EARLIEST <= instant < LATEST:
        raise ValueError("a time between 1970 and 2100 is wanted")
    return instant


def clamped(at: datetime) -> datetime:
    """The nearest instant that is believed, for what must be read whatever it says."""
    try:
        instant = at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        return LATEST if at.year > EARLIEST.year else EARLIEST
    return min(max(instant, EARLIEST), LATEST)
