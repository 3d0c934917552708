"""What Prometheus scrapes of warm-ups: by provider, for an IP or domain may name a customer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime

from sqlmodel import Session

from monitor.metrics import Metric, Sample, StoredMetric
from monitor.warmup.rows import Allowance, going_on


def _of(number: Callable[[Allowance], int], *labels: str) -> Callable[[Session, datetime], Iterable[Sample]]:
    """Sums of a number of each warm-up, by its attributes of these names."""

    def read(session: Session, now: datetime) -> list[Sample]:
        sums: Counter[tuple[str, ...]] = Counter()
        for row in going_on(session, now):
            sums[tuple(str(getattr(row, name)) for name in labels)] += number(row)
        return [(dict(zip(labels, values, strict=True)), count) for values, count in sorted(sums.items())]

    return read


METRICS = (
    StoredMetric(Metric("vigie_warm_ups", "IPs and domains at a provider, by standing."), _of(lambda _: 1, "provider", "standing")),
    StoredMetric(Metric("vigie_warm_ups_needing_a_person", "Warm-ups that do not go on by themselves."), _of(lambda row: bool(row.needs), "provider")),
    StoredMetric(Metric("vigie_warm_up_cap_messages", "What may be sent today in all, of what warms up."), _of(lambda row: row.cap or 0, "provider")),
    StoredMetric(Metric("vigie_warm_up_used_messages", "What of that is sent."), _of(lambda row: row.used if row.cap is not None else 0, "provider")),
    StoredMetric(Metric("vigie_warm_up_left_messages", "What of that is neither sent nor reserved."), _of(lambda row: row.left or 0, "provider")),
)
