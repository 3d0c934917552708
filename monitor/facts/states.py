"""What a state or gauge holds, and which answers are worth a reading. Pure.

An answer is written when the value, the known/unknown, the reason or the codes changed; an answer that
says the same again only moves `checked_at`. A late answer that contradicts what holds is written together
with what held after it, so that the history between two readings stays true. Counts are deltas and never come here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from collectors.details import DECIDING, PASSING


class Held(NamedTuple):
    """The columns of `tables.Latest`. A tuple, as is `Answer`: a sweep makes one for each of its answers."""

    checked_at: datetime
    at: datetime | None
    since: datetime | None
    value: float | None
    reason: str | None
    unknown_since: datetime | None
    detail: Mapping[str, Any]

    @property
    def what_holds(self) -> tuple[object, ...]:
        """All but when it was asked: while this is the same only `checked_at` and `at` move."""
        return self[2:]


class Answer(NamedTuple):
    at: datetime
    value: float | None
    reason: str | None
    detail: Mapping[str, Any]


Row = tuple[datetime, float | None, str | None]  # at, value, reason


def hold(held: Held | None, answer: Answer) -> tuple[Held, Sequence[Row]]:
    """What holds after one more answer, and the readings to write."""
    at, value, reason, detail = answer
    if held is None:
        if value is None:
            return Held(at, None, None, None, reason, at, {}), [(at, None, reason)]
        return Held(at, at, at, value, None, None, detail), [(at, value, None)]
    if at < held.checked_at:
        return held, _late(held, answer)
    if value is None:
        return _unknown(held, answer), () if held.reason == reason else [(at, None, reason)]
    same = held.reason is None and _says_the_same(held, answer)
    since = held.since if held.value == value else at
    if held.value == value and _explains_alike(held.detail, detail):
        detail = held.detail
    return Held(at, at, since, value, None, None, detail), () if same else [(at, value, None)]


def _unknown(held: Held, answer: Answer) -> Held:
    _, at, since, value, _, unknown_since, detail = held
    return Held(answer.at, at, since, value, answer.reason, unknown_since or answer.at, detail)


def _late(held: Held, answer: Answer) -> Sequence[Row]:
    if held.reason == answer.reason and (answer.value is None or _says_the_same(held, answer)):
        return ()
    late = (answer.at, answer.value, answer.reason)
    return [late, (held.checked_at, _now(held), held.reason)]


def _now(held: Held) -> float | None:
    return held.value if held.reason is None else None


def _says_the_same(held: Held, answer: Answer) -> bool:
    return held.value == answer.value and (
        held.detail == answer.detail or _codes(held.detail) == _codes(answer.detail)
    )


def _codes(detail: Mapping[str, Any]) -> list[str]:
    return sorted(detail.get(DECIDING) or ())


def _explains_alike(first: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return first == other or _lasting(first) == _lasting(other)


def _lasting(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in detail.items() if name not in PASSING}
