"""What a rule can be about: a table of signals, each a measure or one set against another. Pure.

A signal is a row of `signals.yaml`. Whether a *low* number of it can be believed is written nowhere: it follows from who
feeds its measures and how those collectors fared (monitor.facts.coverage).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, TypeAdapter

from collectors.measures import MEASURES, Measure, MeasureKind
from monitor.config.validation import did_you_mean

FILE = Path(__file__).with_name("signals.yaml")


def _own(name: str, kind: MeasureKind, unit: str, meaning: str, max_age: timedelta) -> tuple[str, Measure]:
    return name, Measure(name, kind, unit, meaning, max_age=max_age)


# what nobody collects: it is read from what Vigie keeps of itself
OWN_MEASURES: Mapping[str, Measure] = dict((
    _own("own_network", MeasureKind.STATE, "1 healthy, 0 failing", "whether lists answer through our resolvers at all; the "
         "`canary` that names no list", MEASURES["canary"].max_age),
    _own("allow_listing", MeasureKind.STATE, "1 listed, 0 let go", "confirmed intervals on allow lists", MEASURES["listing"].max_age),
    _own("collector_run", MeasureKind.COUNT, "runs", "runs of configured collectors that got answers", timedelta(0)),
    _own("warm_up", MeasureKind.STATE, "1 goes on, 0 a person is needed", "whether a warm-up goes on by itself", timedelta(days=2)),
    _own("clock_behind", MeasureKind.GAUGE, "seconds", "how far the newest facts are ahead of this clock", timedelta(days=1)),
))  # fmt: skip


def measure_named(name: str) -> Measure:
    """Raises ValueError for one there is not, with what was perhaps meant."""
    known = {**MEASURES, **OWN_MEASURES}
    if name not in known:
        raise ValueError(f"no measure '{name}' — {did_you_mean(name, known)}")
    return known[name]


def _measures(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _known(value: tuple[str, ...]) -> tuple[str, ...]:
    for name in value:
        measure_named(name)
    return value


Measures = Annotated[tuple[str, ...], BeforeValidator(_measures), AfterValidator(_known)]


class Signal(BaseModel):
    """`numerator` (and `denominator`): measures added up. `events`, `per`: what these counts are called in texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    numerator: Measures
    denominator: Measures = ()
    unit: str
    words: str
    events: str = ""
    per: str = ""

    @property
    def measures(self) -> tuple[str, ...]:
        """All it is made of, each once."""
        return tuple(dict.fromkeys((*self.numerator, *self.denominator)))

    @property
    def is_count(self) -> bool:
        """Whether it adds up over a window (states and gauges do not)."""
        return all(measure_named(name).kind is MeasureKind.COUNT for name in self.measures)

    @property
    def max_age(self) -> timedelta:
        """When a state or gauge of it is no longer believed."""
        return min(measure_named(name).max_age for name in self.numerator)

    def sums(self, counts: Mapping[str, float]) -> tuple[float, float]:
        """Numerator and denominator of counts by measure."""
        return _total(self.numerator, counts), _total(self.denominator, counts)


def _total(names: Iterable[str], counts: Mapping[str, float]) -> float:
    return sum(counts.get(name, 0) for name in names)


def read_signals(text: str) -> dict[str, Signal]:
    """By name. Raises ValueError for rows that are wrong."""
    rows = TypeAdapter(tuple[Signal, ...]).validate_python(yaml.safe_load(text))
    signals = {row.name: row for row in rows}
    if len(signals) != len(rows):
        raise ValueError("two signals have the same name")
    return signals


@cache
def signals() -> Mapping[str, Signal]:
    """Those of `signals.yaml`, by name."""
    return read_signals(FILE.read_text("utf-8"))


def _signal(name: Any) -> Any:
    if isinstance(name, Signal):
        return name
    known = signals()
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"no signal '{name}' — {did_you_mean(str(name), known)}")
    return known[name]


SignalName = Annotated[Signal, BeforeValidator(_signal)]  # written as its name
