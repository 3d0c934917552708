"""What a sender asks: may I send these messages, of whom, from where, to whom?

Read from JSON with every field checked and put into the form the restrictions are kept in (canonical
addresses, lower-case domains), so that equal things compare equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from monitor.gate.names import address_name, domain_name

MOST_MESSAGES = 10_000_000
LONGEST_VALUE, LONGEST_MESSAGE = 255, 1000
NAMES = ("customer", "stream", "campaign", "ip", "pool", "domain", "provider", "recipient_domain", "message")
KNOWN_FIELDS = frozenset((*NAMES, "count"))
# what is kept as it is written is not among them; which provider a name means is looked up in the index
_CANONICAL: Mapping[str, Callable[[str], str]] = {
    "ip": address_name, "domain": domain_name, "provider": domain_name, "recipient_domain": domain_name,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """One question. Only what is known is named; `count` messages share the answer.

    `message` is of one message alone and stays the same however often it is tried: its recipient and Message-ID, or
    a hash of them. By it is chosen what a hold lets through (`decide`); it is kept nowhere.
    """

    customer: str
    stream: str | None = None
    campaign: str | None = None
    ip: str | None = None
    pool: str | None = None
    domain: str | None = None
    provider: str | None = None
    recipient_domain: str | None = None
    message: str | None = None
    count: int = 1


def read_request(fields: Any) -> Request:
    """A request from decoded JSON; raises ValueError naming the field that is wrong."""
    if not isinstance(fields, Mapping):
        raise ValueError("a request is a JSON object")  # noqa: TRY004 - bad input, not a bug: one error to catch
    if not fields.keys() <= KNOWN_FIELDS:
        unknown = ", ".join(sorted(str(name) for name in fields.keys() - KNOWN_FIELDS))
        raise ValueError(f"unknown field: {unknown}")
    values = {
        name: _text(name, value) if name == "message" else canonical(name, _text(name, value))
        for name, value in fields.items() if name != "count" and value is not None
    }  # fmt: skip
    if "customer" not in values:
        raise ValueError("customer: missing")
    return Request(**values, count=_count(fields.get("count", 1)))


@lru_cache(maxsize=65_536)
def canonical(name: str, value: str) -> str:
    """A value of a field in the form in which it is compared. Raises ValueError for what is no such thing."""
    form = _CANONICAL.get(name)
    if form is None:
        return value
    try:
        return form(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _text(name: str, value: Any) -> str:
    longest = LONGEST_MESSAGE if name == "message" else LONGEST_VALUE
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise ValueError(f"{name}: a text of 1 to {longest} characters is wanted")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 < value <= MOST_MESSAGES:
        raise ValueError(f"count: a whole number from 1 to {MOST_MESSAGES} is wanted")
    return value
