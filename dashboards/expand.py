"""The queries of a board as Grafana would send them: macros of its PostgreSQL data source and `:sqlstring` variables expanded.

Source: Grafana, pkg/tsdb/grafana-postgresql-datasource/macros.go and the variable format "SQL string". Only what our boards use; anything
else that looks like a macro or a variable raises ValueError.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from dashboards.query import ALL

Document = Mapping[str, Any]
_FILTER = re.compile(r"\$__timeFilter\(([a-z_.]+)\)")
_VARIABLE = re.compile(r"\$\{([a-z_]+):sqlstring\}")
_LEFT_OVER = re.compile(r"\$__[A-Za-z]+|\$\{[^}]*\}")


class Period(NamedTuple):
    since: datetime
    until: datetime


class Asked(NamedTuple):
    """One query of a board: where it stands, in which form Grafana wants the answer, and its SQL."""

    where: str
    format: str
    sql: str


def expanded(sql: str, period: Period, chosen: Mapping[str, Sequence[str]]) -> str:
    """`chosen`: the values of variables; one that is missing is "all"."""

    def values(match: re.Match[str]) -> str:
        names = chosen.get(match[1])
        return ALL if names is None else ",".join("'" + name.replace("'", "''") + "'" for name in names)

    since, until = (f"'{each.astimezone(UTC).isoformat(timespec='seconds').replace('+00:00', 'Z')}'" for each in period)
    sql = _FILTER.sub(lambda match: f"{match[1]} BETWEEN {since} AND {until}", sql)
    sql = sql.replace("$__timeFrom()", since).replace("$__timeTo()", until)
    sql = _VARIABLE.sub(values, sql)
    left = _LEFT_OVER.search(sql)
    if left:
        raise ValueError(f"{left[0]} is no macro or variable that is known here")
    return sql


def panels(document: Document) -> Iterator[Mapping[str, Any]]:
    """All panels but rows and texts."""
    return (panel for panel in document["panels"] if panel["type"] not in {"row", "text"})


def queries(document: Document) -> Iterator[Asked]:
    """Every panel's, annotation's and variable's query, not yet expanded."""
    for panel in panels(document):
        for target in panel["targets"]:
            yield Asked(f"{document['uid']}: {panel['title']}", target["format"], target["rawSql"])
    for note in document["annotations"]["list"]:
        yield Asked(f"{document['uid']}: annotation {note['name']}", "annotation", note["target"]["rawSql"])
    for variable in document["templating"]["list"]:
        if variable["type"] == "query":
            yield Asked(f"{document['uid']}: variable {variable['name']}", "variable", variable["query"])
