"""SQL of the boards over the views `grafana_*`: which rows, in which period, and what an "all" of a variable means.

Macros are Grafana's for PostgreSQL (`$__timeFilter`, `$__timeFrom`, `$__timeTo`). A variable that is "all" becomes `'__all__'`, so that rows
without that dimension are in it too. Up to `HOURLY_DAYS` a board reads hours, beyond it days: a year of a thousand addresses stays small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.cog import builder as cogbuilder
from grafana_foundation_sdk.cog import variants

ALL = "'__all__'"
HOURLY_DAYS = 14
RATE_HOURLY_DAYS = 3  # the rate of an hour says little: a complaint among a few hundred mails
DATASOURCE_TYPE = "grafana-postgresql-datasource"
DATASOURCE_VARIABLE = "${datasource}"
DATASOURCE_UID = "vigie-postgresql"
_SPAN = "$__timeTo()::timestamptz - $__timeFrom()::timestamptz"


@dataclass
class PostgresQuery(variants.Dataquery):
    """One target; the foundation SDK has no query type of this data source."""

    sql: str
    format: str
    ref: str = "A"

    def to_json(self) -> dict[str, object]:
        return {
            "datasource": {"type": DATASOURCE_TYPE, "uid": DATASOURCE_VARIABLE}, "editorMode": "code", "format": self.format,
            "rawQuery": True, "rawSql": self.sql, "refId": self.ref,
        }


class Query(cogbuilder.Builder[variants.Dataquery]):
    """As the builders of panels take it."""

    def __init__(self, sql: str, output: str = "table", ref: str = "A") -> None:
        self._query = PostgresQuery(sql, output, ref)

    def build(self) -> variants.Dataquery:
        return self._query


def chosen(variable: str, column: str | None = None) -> str:
    """The condition that a column is among what a variable has chosen; everything where it is "all"."""
    values = f"${{{variable}:sqlstring}}"
    return f"({ALL} IN ({values}) OR {column or variable} IN ({values}))"


def where(*conditions: str) -> str:
    return " AND ".join(each for each in conditions if each) or "true"


def periods(measures: Sequence[str], columns: Sequence[str], *conditions: str, hourly_days: int = HOURLY_DAYS) -> str:
    """A subquery of hours or days of these measures: time, measure, the columns, total, last, unknowns."""
    names = ", ".join(f"'{each}'" for each in measures)
    shown = ", ".join(["time", "measure", *columns, "total", "last", "lowest", "highest", "unknowns"])
    rows = where(f"measure IN ({names})", "$__timeFilter(time)", *conditions)
    return (
        f"(SELECT {shown} FROM grafana_hourly WHERE {rows} AND {_SPAN} <= interval '{hourly_days} days'\n"
        f"  UNION ALL SELECT {shown} FROM grafana_daily WHERE {rows} AND {_SPAN} > interval '{hourly_days} days') AS period"
    )


def total(*measures: str) -> str:
    """The sum of these measures within a group; NULL where nothing was counted at all, which is not zero."""
    names = ", ".join(f"'{each}'" for each in measures)
    return f"sum(total) FILTER (WHERE measure IN ({names}))"


def zero(expression: str) -> str:
    """A numerator: of mail that is counted, none refused is zero."""
    return f"COALESCE({expression}, 0)"


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate as the rules' signal of the same name has it (monitor/rules/signals.yaml)."""

    title: str
    numerator: tuple[str, ...]
    denominator: tuple[str, ...]

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.numerator, *self.denominator)))

    @property
    def share(self) -> str:
        """0 to 1; NULL where nothing was sent: no rate, not a rate of zero."""
        return f"{zero(total(*self.numerator))} / NULLIF({total(*self.denominator)}, 0)"


RATES = {
    "complaints": Rate("Complaint rate", ("complaint",), ("delivered",)),
    "blocks": Rate("Block rate", ("block",), ("delivered", "block")),
    "deferrals": Rate("Deferral rate", ("deferral",), ("delivered", "deferral")),
    "invalid_addresses": Rate("Rate of invalid addresses", ("hard_bounce",), ("delivered", "hard_bounce")),
    "unsubscribes": Rate("Unsubscribe rate", ("unsubscribe",), ("delivered",)),
    "dmarc_failures": Rate("DMARC failure rate", ("dmarc_fail",), ("dmarc_pass", "dmarc_fail")),
    "tls_failures": Rate("TLS failure rate", ("tls_failure",), ("tls_success", "tls_failure")),
}


def rate_over_time(rate: Rate, by: str, *conditions: str, limit: int = 15) -> str:
    """time, metric, value: the rate of the groups with the most mail, worst to read when there are hundreds of lines."""
    sent = ", ".join(f"'{each}'" for each in rate.denominator)
    return (
        f"WITH groups AS (SELECT time, {by}, measure, sum(total) AS total\n"
        f"  FROM {periods(rate.measures, [by], *conditions, hourly_days=RATE_HOURLY_DAYS)} GROUP BY time, {by}, measure)\n"
        f"SELECT time AS \"time\", COALESCE({by}, 'unknown') AS metric, {rate.share} AS value FROM groups\n"
        f"WHERE {by} IS NULL OR {by} IN (SELECT {by} FROM groups WHERE measure IN ({sent}) GROUP BY {by} ORDER BY sum(total) DESC NULLS LAST LIMIT {limit})\n"
        f"GROUP BY time, {by} ORDER BY time, {by}"
    )


def count_over_time(measures: Sequence[str], by: str, *conditions: str) -> str:
    """time, metric, value: counts by one column, or by `measure`."""
    columns = [] if by == "measure" else [by]
    return (
        f"SELECT time AS \"time\", COALESCE({by}, 'unknown') AS metric, sum(total) AS value\n"
        f"FROM {periods(measures, columns, *conditions)}\nGROUP BY time, {by} ORDER BY time, {by}"
    )


def rates_table(by: Sequence[str], names: Sequence[str], *conditions: str, limit: int = 200) -> str:
    """One row a group: what was delivered, then each rate with its count beside."""
    measures = tuple(dict.fromkeys(["delivered", *(each for name in names for each in RATES[name].measures)]))
    columns = [f"{zero(total('delivered'))} AS delivered"]
    for name in names:
        columns += [f"{zero(total(*RATES[name].numerator))} AS {name}", f"{RATES[name].share} AS {name}_rate"]
    shown = ", ".join(f"COALESCE({each}, 'unknown') AS {each}" for each in by)
    return (
        f"SELECT {shown}, {', '.join(columns)}\nFROM {periods(measures, by, *conditions)}\n"
        f"GROUP BY {', '.join(f'period.{each}' for each in by)} ORDER BY {total('delivered')} DESC NULLS LAST LIMIT {limit}"
    )


def rate_now(rate: Rate, *conditions: str) -> str:
    """One row: the rate over the whole time shown; no rate where nothing was sent."""
    return f"SELECT {rate.share} AS rate FROM {periods(rate.measures, [], *conditions)}"


def annotation(sql: str) -> dict[str, Any]:
    return PostgresQuery(sql, "table", "Anno").to_json()
