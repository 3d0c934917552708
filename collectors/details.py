"""What explains a state or gauge: a record for each kind of answer, written and read here and nowhere else.

A record travels as `Observation.detail` and is stored as JSON. To read one never fails: what an older release, another
collector or a hand wrote otherwise is left at its default, so that no row can stop a pass. What a list is (its name,
its operator, where delisting is asked for) is no part of its answers: the catalogue says it to whoever wants to know.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from types import MappingProxyType
from typing import Any, Self, TypeVar

Record = TypeVar("Record", bound="Detail")


class ListKind(enum.StrEnum):
    """What it means to stand on a DNS list."""

    BLOCK = "block"
    ALLOW = "allow"
    SCORE = "score"


class ListSeverity(enum.StrEnum):
    """How grave a list's code is, the gravest first. `policy`: as grave as the role of the target makes it."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    POLICY = "policy"
    INFO = "info"
    SCORE = "score"
    POSITIVE = "positive"

    @property
    def rank(self) -> int:
        """0 is the gravest."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(ListSeverity)}


@dataclass(frozen=True, slots=True)
class Detail:
    """`encode` gives what differs from the defaults, as JSON has it; `decode` takes whatever is stored."""

    def encode(self) -> dict[str, Any]:
        values = ((each.name, getattr(self, each.name), _default(each)) for each in fields(self))
        return {name: _plain(value) for name, value, default in values if value != default}

    @classmethod
    def decode(cls, stored: object) -> Self:
        if not isinstance(stored, Mapping) or not stored:
            return cls()
        known = {}
        for each in fields(cls):
            if each.name in stored:
                try:
                    known[each.name] = _READERS[str(each.type)](stored[each.name])
                except (TypeError, ValueError, OverflowError):
                    continue
        return cls(**known)


UNEXPLAINED = Detail()


@dataclass(frozen=True, slots=True)
class ListAnswer(Detail):
    """What a DNS list said of a target (`listing`, `list_score`).

    `weight` (0-1) and `severity` are of the codes it answered with; `finding`: that speaks against the target, whose role
    it depends on. `void_since`: with an unknown answer, what the list said after that does not count.
    """

    codes: tuple[str, ...] = ()
    meanings: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    undocumented: tuple[str, ...] = ()
    severity: ListSeverity = ListSeverity.MEDIUM
    weight: float = 0.5
    policy: bool = False
    finding: bool = True
    text: str | None = None
    why: str | None = None
    ttl_seconds: int = 0
    void_since: datetime | None = None

    @property
    def meaning(self) -> str:
        """In the list's own words where it has some."""
        return ", ".join(self.meanings) or ", ".join(self.codes) or "listed"


@dataclass(frozen=True, slots=True)
class ReadFailure(Detail):
    """Why a mailbox or folder could not be read (`mailbox_read`). `reason`: a collectors.contract.Reason."""

    reason: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderVerdict(Detail):
    """What a provider says of us, in its own words (`google_compliance`)."""

    status: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class WarmUpNeed(Detail):
    """Why a warm-up needs a person (`warm_up`)."""

    why: str | None = None


@dataclass(frozen=True, slots=True)
class CanaryFailures(Detail):
    """At which resolvers a list failed its test entries, or ours failed (`canary`): resolver → what was wrong."""

    failures: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> dict[str, Any]:
        return dict(self.failures)

    @classmethod
    def decode(cls, stored: object) -> CanaryFailures:
        if not isinstance(stored, Mapping):
            return cls()
        return cls(MappingProxyType({str(name): str(text) for name, text in stored.items()}))


# Of a stored answer: what is about the one answer and not about the state (no reason to write it anew), and what makes
# it another answer although the value is the same.
PASSING = frozenset({"ttl_seconds"})
DECIDING = "codes"


def _default(each: Any) -> Any:
    return each.default if each.default is not MISSING else each.default_factory()


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, enum.StrEnum) else value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError(value)
    return tuple(map(_text, value))


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise TypeError(value)
    return float(value)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise TypeError(value)
    return int(value)


def _instant(value: object) -> datetime:
    at = datetime.fromisoformat(_text(value))
    if at.tzinfo is None:
        raise ValueError(value)
    return at


_READERS: dict[str, Callable[[object], Any]] = {
    "tuple[str, ...]": _texts, "ListSeverity": lambda value: ListSeverity(_text(value)), "float": _share, "bool": _flag,
    "str | None": _text, "int": _whole, "datetime | None": _instant,
}  # fmt: skip
