"""Is a board fit to be shown? What can be seen of its JSON alone, and what its queries answer on a real database.

The shapes are those Grafana's PostgreSQL data source asks for: a time series has a column named exactly `time`, sorted, and a number; an
annotation has time, timeend, text and tags; a variable's query answers one column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from numbers import Number
from typing import Any, NamedTuple, Protocol

from dashboards.board import TAG
from dashboards.expand import Asked, Document, Period, expanded, panels, queries
from dashboards.query import DATASOURCE_VARIABLE

_UNITS = {"short", "percentunit", "s"}


class Answer(NamedTuple):
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


class Database(Protocol):
    """Runs one statement, read only."""

    def __call__(self, sql: str) -> Answer: ...


def faults(document: Document) -> list[str]:
    """What is wrong with a board's JSON, each as a sentence."""
    return list(_faults(document))


def _faults(document: Document) -> Iterator[str]:
    uid = document.get("uid") or "a board without uid"
    for name in ("uid", "title", "description"):
        if not document.get(name):
            yield f"{uid}: no {name}"
    if TAG not in document.get("tags", ()):
        yield f"{uid}: without the tag {TAG} other boards do not link to it"
    variables = {each["name"] for each in document["templating"]["list"]}
    if "datasource" not in variables:
        yield f"{uid}: no variable for the data source"
    for name, of in (("title", panels(document)), ("id", document["panels"])):
        repeated = [value for value, times in Counter(panel[name] for panel in of).items() if times > 1]
        yield from (f"{uid}: two panels have the {name} {value}" for value in repeated)
    for panel in panels(document):
        yield from _panel_faults(f"{uid}: {panel.get('title') or 'a panel without title'}", panel)
    yield from _overlaps(uid, document)
    for query in queries(document):
        yield from _query_faults(query, variables)


def _panel_faults(where: str, panel: Mapping[str, Any]) -> Iterator[str]:
    defaults = panel["fieldConfig"]["defaults"]
    for name, value in (("title", panel.get("title")), ("description", panel.get("description")), ("unit", defaults.get("unit")),
                        ("words for no data", defaults.get("noValue"))):
        if not value:
            yield f"{where}: no {name}"
    if defaults.get("unit") not in _UNITS:
        yield f"{where}: the unit {defaults.get('unit')} is none the boards use"
    for reference in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
        if reference["uid"] != DATASOURCE_VARIABLE:
            yield f"{where}: names the data source {reference['uid']} instead of the variable"


def _overlaps(uid: str, document: Document) -> Iterator[str]:
    taken: dict[tuple[int, int], str] = {}
    for panel in document["panels"]:
        place, title = panel["gridPos"], panel.get("title", "")
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                if x >= 24 or taken.setdefault((x, y), title) != title:
                    yield f"{uid}: {title} lies on {taken.get((x, y), 'the edge')}"
                    return


def _query_faults(query: Asked, variables: set[str]) -> Iterator[str]:
    if "grafana_" not in query.sql:
        yield f"{query.where}: reads no view of ours"
    for part in query.sql.split("${")[1:]:
        name = part.split("}")[0].removesuffix(":sqlstring")
        if name not in variables:
            yield f"{query.where}: uses the variable {name}, which the board has not"


def answer_faults(query: Asked, answer: Answer) -> list[str]:
    """What Grafana could not draw of what a query answered."""
    columns, rows = list(answer.columns), answer.rows
    wrong = []
    if query.format == "time_series":
        wrong = list(_time_series_faults(columns, rows))
    elif query.format == "annotation" and columns != ["time", "timeend", "text", "tags"]:
        wrong = [f"an annotation has time, timeend, text and tags, not {', '.join(columns)}"]
    elif query.format == "variable" and len(columns) != 1:
        wrong = [f"a variable's query answers one column, not {len(columns)}"]
    repeated = [name for name, times in Counter(columns).items() if times > 1]
    wrong += [f"two columns are called {name}" for name in repeated]
    return [f"{query.where}: {each}" for each in wrong]


def _time_series_faults(columns: list[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    if columns != ["time", "metric", "value"]:
        yield f"a time series here has time, metric and value, not {', '.join(columns)}"
        return
    times = [row[0] for row in rows]
    if not all(isinstance(each, datetime) for each in times):
        yield "time is not a time in every row"
    elif times != sorted(times):
        yield "rows are not sorted by time"
    if not all(row[2] is None or isinstance(row[2], Number) for row in rows):
        yield "value is not a number in every row"
    if not all(isinstance(row[1], str) for row in rows):
        yield "metric is not a text in every row"


def run(document: Document, database: Database, period: Period, chosen: Mapping[str, Sequence[str]] = {}) -> Iterator[tuple[Asked, Answer, list[str]]]:
    """Every query of a board with what it answers, and what is wrong with that."""
    for query in queries(document):
        answer = database(expanded(query.sql, period, chosen))
        yield query, answer, answer_faults(query, answer)


