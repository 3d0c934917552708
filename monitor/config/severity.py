"""How bad something is for people: one scale for rules, verdicts, incidents, notifications and pages."""

from __future__ import annotations

import enum
from collections.abc import Iterable


class Severity(enum.StrEnum):
    """The mildest first. (What a DNSBL's code says of a target is another scale: collectors.dnsbl.)"""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def up_to_this(self) -> tuple[Severity, ...]:
        """It and all milder ones, the mildest first."""
        return tuple(Severity)[: tuple(Severity).index(self) + 1]


GRAVEST_FIRST = tuple(reversed(Severity))


def worst(severities: Iterable[str]) -> Severity:
    """Raises ValueError for a word that is none, and for no words."""
    return max(map(Severity, severities), key=tuple(Severity).index)
