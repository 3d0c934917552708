"""What every rule has in common, as people write it (YAML), checked; what it tests is in its condition's own file.

Shares are 0-1 or written as percentages; durations are written 90s, 15m, 24h, 7d.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from collectors.contract import Reason
from collectors.dimensions import BY_NAME
from monitor.config.quantities import Duration
from monitor.config.severity import Severity
from monitor.config.validation import did_you_mean
from monitor.inventory.names import canonical
from monitor.rules.effect import RuleEffect
from monitor.rules.signals import SignalName
from monitor.rules.texts import placeholders

RULE_ID = r"^[a-z][a-z0-9-]{0,62}$"
_LABEL = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Mode(enum.StrEnum):
    """`shadow`: judged, stored and shown, but nobody is notified and nothing is held."""

    LIVE = "live"
    SHADOW = "shadow"


class Chosen(Strict):
    """Which values of a dimension: `gmail`, `[gmail, yahoo]`, or all but some: `{not: gmail}`."""

    values: Annotated[tuple[str, ...], Field(min_length=1)]
    but: bool = False

    def takes(self, value: str | None) -> bool:
        """What names no value is not taken."""
        return value is not None and (value in self.values) != self.but


def _chosen(value: Any) -> Any:
    if isinstance(value, Mapping) and set(value) == {"not"}:
        return {"values": _listed(value["not"]), "but": True}
    if isinstance(value, Mapping):
        raise ValueError("write a value, a list of values, or {not: …}")  # noqa: TRY004 - bad input, not a bug: one error to catch
    return {"values": _listed(value)} if isinstance(value, str | list | tuple) else value


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _dimensions(where: Mapping[str, Chosen]) -> Mapping[str, Chosen]:
    """The values in the form facts have them in: in another none would ever be met."""
    made = {}
    for name, chosen in where.items():
        if name not in BY_NAME:
            raise ValueError(f"no dimension '{name}' — {did_you_mean(name, BY_NAME)}")
        made[name] = chosen.model_copy(update={"values": tuple(canonical(name, value) for value in chosen.values)})
    return made


Where = Annotated[
    dict[str, Annotated[Chosen, BeforeValidator(_chosen)]], AfterValidator(_dimensions)
]


class Unless(Strict):
    """While another rule fires this one is not judged: nothing is raised, nothing cleared.

    `same`: only where it fires for the same values of these dimensions. `reasons`: only what fails for one of these.
    """

    rule: Annotated[str, Field(pattern=RULE_ID)]
    same: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()


def _unless(value: Any) -> Any:
    return {"rule": value} if isinstance(value, str) else value


def not_empty(value: tuple[str, ...]) -> tuple[str, ...]:
    """Raises ValueError for an empty list."""
    if not value:
        raise ValueError("must not be empty")
    return value


def _labels(value: Mapping[str, str]) -> Mapping[str, str]:
    for name in value:
        if not _LABEL.fullmatch(name) or name in BY_NAME or name in {"rule", "severity", "incident"}:
            raise ValueError(f"'{name}' is no name for a label — small letters, digits and _, and none that Vigie gives itself")
    return value


class Rule(Strict):
    """`signal` says of what, the condition when, `by` for which groups; the rest is what follows.

    The state of a rule is kept under its `id` and the group judged: a changed threshold or text keeps it.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {"advice": "runbook", "keep": "keep_firing_for", "suspend": "effect"}
    TEXTS: ClassVar[frozenset[str]] = frozenset()  # what `summary` may name, beside the dimensions
    GONE: ClassVar[str] = "no longer watched"  # why an incident ends whose group the facts no longer have

    id: Annotated[str, Field(pattern=RULE_ID)]
    condition: str
    signal: SignalName
    enabled: bool = True
    mode: Mode = Mode.LIVE
    severity: Severity = Severity.WARNING
    labels: Annotated[dict[str, str], AfterValidator(_labels)] = Field(default_factory=dict)
    where: Where = Field(default_factory=dict)
    for_: Duration = Field(default=timedelta(0), alias="for")  # a breach must last this long to fire
    keep_firing_for: Duration = timedelta(0)  # clear must last this long to end
    unless: Annotated[Unless, BeforeValidator(_unless)] | None = None
    quiet_for: Duration | None = None  # ends when nothing was there to judge for so long, and nothing is held any more
    summary: Annotated[str, Field(max_length=300)] = ""
    runbook: Annotated[str, Field(max_length=2000)] = ""
    runbook_url: Annotated[str, Field(max_length=500, pattern=r"^https?://")] | None = None
    source: Annotated[str, Field(max_length=1000)] = ""  # where its thresholds come from
    effect: RuleEffect | None = None

    @property
    def waits_for(self) -> tuple[str, ...]:
        """The rules that are judged before it."""
        return (self.unless.rule,) if self.unless is not None else ()

    @property
    def longest_window(self) -> timedelta:
        """Of the counts it is judged by now; 0 for a rule about anything else."""
        return timedelta(0)

    @property
    def most_false_a_month(self) -> float | None:
        """How often in a month it raises a healthy stream at most, where that is known beforehand."""
        return None

    @model_validator(mode="after")
    def _summary_is_known(self) -> Rule:
        known = {*self.TEXTS, *BY_NAME, "text"}
        for name in placeholders(self.summary):
            if name not in known:
                raise ValueError(f"summary: no '{{{name}}}' here — {did_you_mean(name, known)}")
        return self


class ClearLine(Strict):
    """When a number counts as good again."""

    below: float | None = None
    above: float | None = None


class Lined(Strict):
    """`above` or `below` a line, and good again on the other side of `clear` (without it: of the line itself)."""

    above: float | None = None
    below: float | None = None
    clear: ClearLine = ClearLine()

    @model_validator(mode="after")
    def _one_line(self) -> Lined:
        if (self.below is None) == (self.above is None):
            raise ValueError("needs exactly one of below and above")
        bad, good = ("below", "above") if self.below is not None else ("above", "below")
        if getattr(self.clear, bad) is not None:
            raise ValueError(f"what is bad {bad} its line clears {good} one: clear.{good}")
        if self.below is not None and self.clear.above is not None and self.clear.above < self.below:
            raise ValueError("clear.above must not be lower than below")
        if self.above is not None and self.clear.below is not None and self.clear.below > self.above:
            raise ValueError("clear.below must not be higher than above")
        return self

    @property
    def line(self) -> float:
        """The line itself."""
        value = self.above if self.above is not None else self.below
        assert value is not None  # `_one_line`
        return value

    def is_bad(self, value: float) -> bool:
        return value > self.line if self.above is not None else value < self.line

    def is_good(self, value: float) -> bool:
        """Beyond the line at which it clears."""
        if self.above is not None:
            return value < self.clear.below if self.clear.below is not None else value <= self.above
        return value > self.clear.above if self.clear.above is not None else value >= self.line


def needs(rule: Rule, *, counts: bool, denominator: bool = False) -> None:
    """Raises ValueError where the signal is of another kind than the condition judges."""
    if rule.signal.is_count != counts:
        kind = "counts that add up" if counts else "a state or a gauge"
        raise ValueError(f"signal: condition {rule.condition} is about {kind}, and '{rule.signal.name}' is none")
    if denominator and not rule.signal.denominator:
        raise ValueError(f"signal: condition {rule.condition} needs a signal with a denominator, and '{rule.signal.name}' has none")


__all__ = [
    "ClearLine", "Lined", "Literal", "Mode", "Rule", "Strict", "Unless", "Where", "needs", "not_empty",
]  # fmt: skip
