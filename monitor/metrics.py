"""What Prometheus scrapes, as data: a name, its meaning, its type, and who knows its values. Prometheus' text format 0.0.4.

Each feature lists the metrics it can answer from the database beside its rows (`*/metrics.py`); `monitor.api.metrics` puts
them together with what the process itself knows. Whoever scrapes needs no key, so no label may name a customer.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

Sample = tuple[Mapping[str, str], float]  # labels, value


class MetricType(enum.StrEnum):
    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True, slots=True)
class Metric:
    """One family. Counters end in `_total`, times are in seconds; a `meaning` is one line."""

    name: str
    meaning: str
    type: MetricType = MetricType.GAUGE


@dataclass(frozen=True, slots=True)
class StoredMetric:
    """One whose values the database knows."""

    metric: Metric
    read: Callable[[Session, datetime], Iterable[Sample]]


def alone(value: float) -> list[Sample]:
    """The one value of a metric without labels."""
    return [({}, value)]


def text_of(families: Iterable[tuple[Metric, Iterable[Sample]]]) -> str:
    """As it is scraped."""
    return "".join(_lines(metric, samples) for metric, samples in families)


def _lines(metric: Metric, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP {metric.name} {metric.meaning}", f"# TYPE {metric.name} {metric.type}"]
    for labels, value in samples:
        shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in sorted(labels.items()))
        lines.append(f"{metric.name}{{{shown}}} {value:g}" if shown else f"{metric.name} {value:g}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
