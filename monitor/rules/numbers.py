"""The numbers a verdict rests on, as records: each condition has its own, beside its judge.

A record travels with its verdict and is stored as JSON with the verdict, the incident and the suspension that follow. Which
records there are, and how one is read back: `monitor.rules.conditions.table`. What a reader asks of any of them (what, how
bad, of whom) stands here, so that nobody who shows them has to know the conditions. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar

from monitor.rules.texts import percent, some

_MOST_LISTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """By itself: none. `now`: of an open incident, what is so by now, while that is milder than at its worst."""

    STATED: ClassVar[frozenset[str]] = frozenset()  # what is written also where it is not known, as null
    now: str | None = None

    def encode(self) -> dict[str, Any]:
        """As JSON has it; what is not known is left out, but for what is always stated."""
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {name: _plain(value) for name, value in values if value is not None or name in self.STATED}

    @property
    def gravity(self) -> tuple[float, int]:
        """How bad it was, to be compared with another moment of the same rule: what is sure of the rate, how many targets."""
        return 0.0, len(self.rows)

    @property
    def figure(self) -> float | None:
        """The one number it was judged by, where there is one."""
        return None

    @property
    def failure(self) -> str | None:
        """Why something was not seen (a collectors.contract.Reason)."""
        return None

    @property
    def rows(self) -> Sequence[OnList]:
        """The targets of ours and the lists it is about."""
        return ()

    @property
    def targets(self) -> list[str]:
        """The addresses and domains of ours that it names."""
        return sorted({row.target for row in self.rows})

    @property
    def customers(self) -> set[str]:
        """Whose targets they are."""
        return {row.customer for row in self.rows if row.customer}

    def headline(self, targets: str) -> str | None:
        """What it comes to, in a few words; `targets`: `40 IPs`."""
        del targets
        return None


NOTHING = Numbers()


@dataclass(frozen=True, slots=True, kw_only=True)
class RateNumbers(Numbers):
    """How many (`numerator`) of how many, since when. `lower` (0-1): what is sure of `rate`; `parts`: groups taken together."""

    words: str
    numerator: int
    denominator: int
    line: float
    since: datetime
    rate: float | None = None
    lower: float | None = None
    parts: int | None = None

    @property
    def gravity(self) -> tuple[float, int]:
        return self.lower or 0.0, 0

    @property
    def figure(self) -> float | None:
        return self.rate

    @property
    def of_how_many(self) -> int:
        return self.denominator

    def headline(self, targets: str) -> str | None:
        del targets
        return None if self.rate is None else f"{self.words} {percent(self.rate)} ({self.numerator:,} of {self.of_how_many:,})"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnList(Numbers):
    """A target of ours and the list (id and name) that it stands on, or stood on."""

    STATED: ClassVar[frozenset[str]] = frozenset({"customer", "dnsbl"})
    target: str
    name: str
    customer: str | None = None
    dnsbl: str | None = None

    @property
    def rows(self) -> Sequence[OnList]:
        return (self,)


def lists_of(rows: Sequence[OnList]) -> str:
    """`Spamhaus ZEN, SORBS`."""
    return some(sorted({row.name or row.dnsbl or "" for row in rows}), _MOST_LISTS)


def _plain(value: Any) -> Any:
    if isinstance(value, Numbers):
        return value.encode()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return dict(value) if isinstance(value, Mapping) else value
