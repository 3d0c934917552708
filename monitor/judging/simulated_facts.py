"""Facts of a file for a simulation: one JSON object per line, as generic delivery events with `known_at`.

    {"at": "2026-01-02T03:04:05Z", "outcome": "delivered", "customer": "acme", "stream": "news", "provider": "gmail", "count": 120}
    {"at": "…", "known_at": "…", "measure": "complaint", "value": 1, "customer": "acme", "campaign": "spring"}
    {"known_at": "…", "judge": true}

`outcome` is a word of the generic events, `measure` one of collectors/measures.py with its `value`. `known_at`: when it was learnt
(else `at`). A line with `judge` brings no fact: it is judged then, and answered by an event `judged`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from collectors.delivery.generic import OUTCOMES
from collectors.dimensions import Use, names
from collectors.instants import checked
from collectors.measures import MEASURES
from collectors.providers import ProviderTable
from monitor.config.validation import did_you_mean

_DIMENSIONS = names(Use.SUBJECT)
_LONGEST = 255


class Line(NamedTuple):
    """One line. `measure` None: nothing but an instant at which to judge."""

    known_at: datetime
    at: datetime
    measure: str | None
    labels: Mapping[str, str]
    value: float


def read_line(text: bytes, providers: ProviderTable) -> Line:
    """Raises ValueError with the field and what is wanted."""
    try:
        stated = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(stated, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - bad input, not a bug: one error to catch
    if stated.get("judge") is True:
        known_at = _instant(stated, "known_at")
        return Line(known_at, known_at, None, {}, 0.0)
    at = _instant(stated, "at")
    known_at = _instant(stated, "known_at") if stated.get("known_at") is not None else at
    if known_at < at:
        raise ValueError("known_at: earlier than at")
    measure, value = _measured(stated)
    return Line(known_at, at, measure, _labels(stated, providers), value)


def _instant(stated: Mapping[str, Any], name: str) -> datetime:
    value: Any = stated.get(name)
    try:
        if isinstance(value, str):
            return checked(datetime.fromisoformat(value))
        if isinstance(value, int | float):
            return checked(datetime.fromtimestamp(value, UTC))
    except (ValueError, OverflowError, OSError):
        pass
    raise ValueError(f"{name}: ISO 8601 with a zone, or seconds since 1970, is wanted")


def _measured(stated: Mapping[str, Any]) -> tuple[str, float]:
    count = stated.get("count", 1)
    if "measure" in stated:
        measure = stated["measure"]
        if measure not in MEASURES:
            raise ValueError(f"measure: no measure '{measure}' — {did_you_mean(str(measure), MEASURES)}")
        value = stated.get("value", count)
        if type(value) not in {int, float}:
            raise ValueError("value: a number is wanted")
        return measure, float(value)
    outcome = stated.get("outcome")
    known = OUTCOMES.get(outcome.strip().lower().replace("-", "_").replace(" ", "_")) if isinstance(outcome, str) else None
    if known is None:
        raise ValueError(f"outcome: one of {', '.join(sorted(set(OUTCOMES.values())))} is wanted, or a measure with its value")
    if type(count) is not int or count < 1:
        raise ValueError("count: a whole number from 1 on is wanted")
    return known, float(count)


def _labels(stated: Mapping[str, Any], providers: ProviderTable) -> dict[str, str]:
    labels = {}
    for name in _DIMENSIONS:
        value = stated.get(name)
        if value is None:
            continue
        if not isinstance(value, str) or len(value) > _LONGEST:
            raise ValueError(f"{name}: a text of at most {_LONGEST} characters is wanted")
        if value:
            labels[name] = value
    if "provider" in labels:
        labels["provider"] = providers.named(labels["provider"]) or labels["provider"]
    else:
        domain = stated.get("recipient_domain") or str(stated.get("recipient") or "").rpartition("@")[2]
        if domain:
            labels["provider"] = providers.of_domain(str(domain).rstrip(".").lower()) or "other"
    return labels
