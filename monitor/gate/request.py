"""What a sender asks: may I send these messages, of whom, from where, to whom?

Read from JSON with every field checked and put into the form the restrictions are kept in (canonical
addresses, lower-case domains), so that equal things compare equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

MOST_MESSAGES = 10_000_000
LONGEST_VALUE = 255
NAMES = ("customer", "stream", "campaign", "ip", "pool", "domain", "provider", "recipient_domain")
_KNOWN = frozenset((*NAMES, "count"))


@dataclass(frozen=True, slots=True)
class Request:
    """One question. Only what is known is named; `count` messages share the answer."""

    customer: str
    stream: str | None = None
    campaign: str | None = None
    ip: str | None = None
    pool: str | None = None
    domain: str | None = None
    provider: str | None = None
    recipient_domain: str | None = None
    count: int = 1


def read_request(said: Any) -> Request:
    """A request from decoded JSON; raises ValueError naming the field that is wrong."""
    if not isinstance(said, Mapping):
        raise ValueError("a request is a JSON object")  # noqa: TRY004 - bad input, not a bug: one error to catch
    if not said.keys() <= _KNOWN:
        unknown = ", ".join(sorted(str(name) for name in said.keys() - _KNOWN))
        raise ValueError(f"unknown field: {unknown}")
    values = {name: _text(name, value) for name, value in said.items() if name != "count" and value is not None}
    if "customer" not in values:
        raise ValueError("customer: missing")
    if "ip" in values:
        values["ip"] = canonical_ip(values["ip"])
    for name in ("domain", "recipient_domain", "provider"):
        if name in values:
            values[name] = values[name].rstrip(".").lower()
    return Request(**values, count=_count(said.get("count", 1)))


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_VALUE:
        raise ValueError(f"{name}: a text of 1 to {LONGEST_VALUE} characters is wanted")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 < value <= MOST_MESSAGES:
        raise ValueError(f"count: a whole number from 1 to {MOST_MESSAGES} is wanted")
    return value


@lru_cache(maxsize=65_536)
def canonical_ip(value: str) -> str:
    """An address as the inventory writes it: IPv6 compressed and in lower case."""
    try:
        return str(ip_address(value))
    except ValueError:
        raise ValueError("ip: not an IPv4 or IPv6 address") from None
