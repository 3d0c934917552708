"""What a state or gauge holds, and which answers are worth a reading. Pure.

An answer is written when the value, the known/unknown, the reason or the codes changed; an answer that
says the same again only moves `asked_at`. A late answer that contradicts what holds is written together
with what held after it, so that the history between two readings stays true. A count is a delta and is
always written; it comes here only where a count was asked for and not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Held:
    """The columns of `records.Latest`."""

    asked_at: datetime
    at: datetime | None = None
    since: datetime | None = None
    value: float | None = None
    reason: str | None = None
    unknown_since: datetime | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """`adds_up`: of a count, whose value is a delta and does not hold until the next."""

    at: datetime
    value: float | None
    reason: str | None
    detail: Mapping[str, Any]
    adds_up: bool = False


Row = tuple[datetime, float | None, str | None]  # at, value, reason


def hold(held: Held | None, answer: Answer) -> tuple[Held, list[Row]]:
    """What holds after one more answer, and the readings to write."""
    row = (answer.at, answer.value, answer.reason)
    if held is not None and answer.at < held.asked_at:
        return held, _late(held, answer)
    if answer.value is None:
        return _unknown(held, answer), [] if held and held.reason == answer.reason else [row]
    same = held is not None and held.reason is None and _says_the_same(held, answer)
    since = held.since if held and held.value == answer.value else answer.at
    new = Held(answer.at, answer.at, since, answer.value, detail=answer.detail)
    return new, [] if same else [row]


def _unknown(held: Held | None, answer: Answer) -> Held:
    before = held or Held(answer.at)
    since = before.unknown_since or answer.at
    return replace(before, asked_at=answer.at, reason=answer.reason, unknown_since=since)


def _late(held: Held, answer: Answer) -> list[Row]:
    if held.reason == answer.reason and (answer.value is None or _says_the_same(held, answer)):
        return []
    late = (answer.at, answer.value, answer.reason)
    return [late] if answer.adds_up else [late, (held.asked_at, _now(held), held.reason)]


def _now(held: Held) -> float | None:
    return held.value if held.reason is None else None


def _says_the_same(held: Held, answer: Answer) -> bool:
    return held.value == answer.value and _codes(held.detail) == _codes(answer.detail)


def _codes(detail: Mapping[str, Any]) -> list[str]:
    return sorted(detail.get("codes") or ())
