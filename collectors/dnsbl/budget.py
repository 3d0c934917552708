"""How many questions the operators of lists still allow us today. Pure but for its own counters.

All zones of an operator share its daily limit (`operators` of the catalogue, from their terms of use). A sweep
that would need more is stretched: each target is asked less often, so that the day's questions last the day.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

_DAY = timedelta(days=1)
_RESERVE = 0.9  # the share that is planned for: retries, canaries and TXT take from the rest


class Budget:
    """Questions asked per operator on one UTC day, against daily limits."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self.limits = dict(limits)
        self.day: date | None = None
        self.spent: dict[str, int] = {}

    def begin(self, today: date, saved: Mapping[str, Any] | None = None) -> None:
        """Start or continue a day; what was saved of the same day and is higher than our count is taken over."""
        if today != self.day:
            self.day, self.spent = today, {}
        if saved and saved.get("day") == today.isoformat():
            for operator, count in saved.get("spent", {}).items():
                self.spent[operator] = max(self.spent.get(operator, 0), int(count))

    def take(self, operator: str, count: int = 1) -> bool:
        """Whether the operator allows `count` more; counted when it does."""
        needed = self.spent.get(operator, 0) + count
        limit = self.limits.get(operator)
        if limit is not None and needed > limit:
            return False
        self.spent[operator] = needed
        return True

    def saved(self) -> dict[str, Any]:
        return {"day": self.day.isoformat() if self.day else None, "spent": dict(self.spent)}

    def stretched(self, operator: str, questions: int) -> timedelta:
        """The shortest time between two rounds of so many questions within the daily limit."""
        limit = self.limits.get(operator)
        return _DAY * (questions / (limit * _RESERVE)) if limit else timedelta(0)
