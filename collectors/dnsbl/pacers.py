"""One pacer for each operator: whatever is asked of its lists, by whatever part of a sweep, takes turns with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from collectors.clients.dns import Pacer
from collectors.dnsbl.catalogue import DnsList, Operator


def operator_of(entry: DnsList) -> str:
    """Who answers for a list; a list of no known operator is its own."""
    return entry.operator or entry.id


class Pacers:
    """`of(entry)` is the pacer of its operator: the strictest limit among the operator's own and its lists'.

    Kept from one sweep to the next, so that two in a row keep the distance as well.
    """

    def __init__(self, entries: Iterable[DnsList], operators: Mapping[str, Operator]) -> None:
        self._pacers: dict[str, Pacer] = {}
        for entry in entries:
            operator = operator_of(entry)
            limits = [entry.max_qps, operators[operator].max_qps if operator in operators else None]
            interval = max((1 / limit for limit in limits if limit), default=0.0)
            pacer = self._pacers.setdefault(operator, Pacer())
            pacer.interval_seconds = max(pacer.interval_seconds, interval)

    def of(self, entry: DnsList) -> Pacer:
        return self._pacers[operator_of(entry)]
