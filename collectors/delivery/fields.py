"""Addresses, hosts and times as records of mail systems write them. Pure; each returns None for what is none, or raises ValueError."""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from collectors.instants import checked

LONGEST_NAME, LONGEST_ADDRESS, LONGEST_TEXT = 255, 320, 2_000
_DAY = timedelta(days=1)
_SLASHED = re.compile(r"(\d\d)/(\d\d)/(\d{4}) (\d\d:\d\d:\d\d) ?(.*)")
_APART = re.compile(r" ([+-]\d{4})$")
_CODE = re.compile(r"([245]\d\d)(?=[ \-]|$)")
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")


def mail_address(stated: object) -> str | None:
    """A mail address; None for the null sender and for words that stand where there is none."""
    if not isinstance(stated, str) or "@" not in stated or not 0 < len(stated) <= LONGEST_ADDRESS:
        return None
    text = stated.strip().removeprefix("<").removesuffix(">")
    return None if " " in text and not text.startswith('"') else text


def ip_of(stated: object) -> str | None:
    """An address, perhaps with a port: `192.0.2.1:25`, `[2001:db8::1]:25`; None for `0.0.0.0` and the path of a socket."""
    if not isinstance(stated, str):
        return None
    host = stated.rpartition("]")[0].lstrip("[") if stated.startswith("[") else stated
    for text in (host, host.rpartition(":")[0]):
        try:
            address = ipaddress.ip_address(text.removeprefix("IPv6:"))
        except ValueError:
            continue
        return None if address.is_unspecified else str(getattr(address, "ipv4_mapped", None) or address)
    return None


@lru_cache(maxsize=4_096)  # a busy server writes thousands of lines a second
def stated_time(text: str) -> datetime:
    """`2019-02-08 21:54:05+0000`, ISO 8601, `02/08/2019 21:54:05+0000`, or seconds since 1970; without a zone the machine's.

    Raises ValueError.
    """
    text = _APART.sub(r"\1", text.strip())
    if text.isascii() and text.isdigit():
        return checked(datetime.fromtimestamp(int(text[:12]), UTC))
    if slashed := _SLASHED.fullmatch(text):
        month, day, year, clock, zone = slashed.groups()
        text = f"{year}-{month}-{day} {clock}{zone}"
    return zoned(datetime.fromisoformat(text))


def zoned(at: datetime) -> datetime:
    """The instant; of a time without a zone, as this machine's clock shows it."""
    return checked(at.astimezone() if at.tzinfo is None else at)


@lru_cache(maxsize=4_096)
def without_year(text: str, written_on: datetime) -> datetime:
    """`Nov 26 18:00:00`, as syslog writes it: the year that brings it nearest, at most a day after it was written.

    Raises ValueError.
    """
    words = text.split()
    for year in (written_on.year + 1, written_on.year, written_on.year - 1):
        try:
            at = zoned(datetime.strptime(f"{year} {' '.join(words)}", "%Y %b %d %H:%M:%S"))  # noqa: DTZ007 - zoned is what is asked for
        except ValueError:
            if words[:2] == ["Feb", "29"]:
                continue
            raise
        if at <= written_on + _DAY:
            return at
    raise ValueError(f"{text}: no year fits")


def reply_code(text: str) -> str | None:
    """The code of an SMTP reply at the beginning of a text."""
    hit = _CODE.match(text)
    return hit[1] if hit else None


def status_code(text: str | None) -> str | None:
    """The enhanced status (RFC 3463) at the beginning of a text."""
    hit = _STATUS.match(text or "")
    return hit[0] if hit else None
