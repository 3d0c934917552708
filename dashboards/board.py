"""What a board is made of, and how it becomes Grafana's JSON (classic model, which Grafana 11 to 13 read).

A board answers one question. Its panels are small records; everything they have in common (data source, time zone, "no data" in words,
thresholds, links) is put here once, by the builders of grafana-foundation-sdk.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.query import ALL, DATASOURCE_TYPE, DATASOURCE_UID, DATASOURCE_VARIABLE, Query, annotation

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # the SDK's own: each class of a builder announces its successor
    from grafana_foundation_sdk.builders import barchart, stat, table, text, timeseries
    from grafana_foundation_sdk.builders import common as common_builders
    from grafana_foundation_sdk.builders import dashboard as builders
    from grafana_foundation_sdk.models import common
    from grafana_foundation_sdk.models import dashboard as model
    from grafana_foundation_sdk.models import text as text_model

WIDTH = 24
QUESTION_HEIGHT = 2
TAG = "vigie"
GREEN, AMBER, RED, GREY, BLUE = "#73bf69", "#ff9830", "#f2495c", "#8e8e8e", "#5794f2"
NO_DATA = "no data: nothing was reported for this choice and period"
# the words of states, coloured alike on every board
WORDS: Mapping[str, str] = {
    "ok": GREEN, "firing": RED, "pending": AMBER, "recovering": AMBER, "nodata": GREY, "error": RED, "unevaluated": GREY,
    "insufficient": GREY, "unknown": GREY, "listed": RED, "suspected": AMBER, "clearing": AMBER, "cleared": GREEN, "failed": RED,
    "partial": AMBER, "running": BLUE, "critical": RED, "warning": AMBER, "info": BLUE, "hold": RED, "slow": AMBER,
    "stale": AMBER, "fresh": GREEN, "never": GREY,
}


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top: several values, or all. `sql` answers its values; `by_hand`: typed, with this default."""

    name: str
    label: str
    sql: str = ""
    by_hand: str | None = None
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """`kind`: timeseries, stat, table or bars. `unit` is Grafana's. `lines`: thresholds from where a rule has them.

    `columns` of a table: column → unit, `link:<url>` or `words` (a state, coloured). `stacked` counts add up.
    """

    title: str
    description: str
    sql: str
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 12
    height: int = 8
    lines: Sequence[tuple[float, str]] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    stacked: bool = False
    no_data: str = NO_DATA


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Annotation:
    name: str
    sql: str
    color: str


@dataclass(frozen=True, slots=True)
class Board:
    """`question`: what a person comes with; it stands on the board and in the README."""

    slug: str
    title: str
    question: str
    rows: Sequence[Row]
    variables: Sequence[Variable] = ()
    annotations: Sequence[Annotation] = ()
    since: str = "now-7d"

    @property
    def uid(self) -> str:
        return f"vigie-{self.slug}"

    @property
    def panels(self) -> list[Panel]:
        return [panel for row in self.rows for panel in row.panels]


CONSOLE = Variable("console", "Console", by_hand="http://127.0.0.1:8080", hidden=True)


def as_json(board: Board) -> str:
    """The board as Grafana keeps it; the same board is the same text."""
    built = (
        builders.Dashboard(board.title).uid(board.uid).description(board.question).tags([TAG]).timezone("browser")
        .time(board.since, "now").refresh("1m").readonly().tooltip(model.DashboardCursorSync.CROSSHAIR)
        .links([builders.DashboardLink("Vigie").type(model.DashboardLinkType.DASHBOARDS).tags([TAG]).as_dropdown(True).include_vars(True).keep_time(True)])
    )
    built.with_variable(
        builders.DatasourceVariable("datasource").label("Database").type(DATASOURCE_TYPE)
        .current(model.VariableOption(selected=True, text="Vigie", value=DATASOURCE_UID))
    )
    for variable in (*board.variables, CONSOLE):
        built.with_variable(_variable(variable))
    number = _laid_out(built, board)
    assert number > 0
    document = json.loads(json.dumps(built.build(), cls=JSONEncoder))
    document["annotations"] = {"list": [_annotation(each) for each in board.annotations]}
    document["version"] = 0
    _without_what_grafana_dropped(document)
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _without_what_grafana_dropped(document: dict[str, Any]) -> None:
    """Fields the SDK still writes that Grafana 13 no longer has (tests/dashboards/test_types.py)."""
    for variable in document["templating"]["list"]:
        for name in [each for each in variable if each.startswith("auto")]:
            del variable[name]
    for panel in document["panels"]:
        if panel["type"] == "table":
            panel["options"].pop("footer", None)


def _laid_out(built: builders.Dashboard, board: Board) -> int:
    """Rows and panels in reading order, each with its place and a number of its own; returns how many."""
    question = text.Panel().title("The question").description(board.question).mode(text_model.TextMode.MARKDOWN).content(board.question)
    built.with_panel(question.id(1).grid_pos(model.GridPos(h=QUESTION_HEIGHT, w=WIDTH, x=0, y=0)))
    y, number = QUESTION_HEIGHT, 1
    for row in board.rows:
        number += 1
        header = builders.Row(row.title).id(number).grid_pos(model.GridPos(h=1, w=WIDTH, x=0, y=y))
        built.with_row(header)
        y += 1
        x, tallest = 0, 0
        for panel in row.panels:
            if x + panel.width > WIDTH:
                x, y, tallest = 0, y + tallest, 0
            number += 1
            place = model.GridPos(h=panel.height, w=panel.width, x=x, y=y)
            built.with_panel(_panel(panel).id(number).grid_pos(place))
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest
    return number


def _variable(variable: Variable) -> Any:
    if variable.by_hand is not None:
        value = model.VariableOption(selected=True, text=variable.by_hand, value=variable.by_hand)
        built = builders.TextBoxVariable(variable.name).label(variable.label).default_value(variable.by_hand).current(value)
        return built.hide(model.VariableHide.HIDE_VARIABLE) if variable.hidden else built
    return (
        builders.QueryVariable(variable.name).label(variable.label).datasource(_source()).query(variable.sql).multi(True)
        .include_all(True).all_value(ALL).refresh(model.VariableRefresh.ON_DASHBOARD_LOAD)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _source() -> common.DataSourceRef:
    return common.DataSourceRef(type_val=DATASOURCE_TYPE, uid=DATASOURCE_VARIABLE)


def _annotation(each: Annotation) -> dict[str, Any]:
    return {
        "name": each.name, "enable": True, "hide": False, "iconColor": each.color,
        "datasource": {"type": DATASOURCE_TYPE, "uid": DATASOURCE_VARIABLE}, "target": annotation(each.sql),
    }


_KINDS: Mapping[str, Any] = {"timeseries": timeseries.Panel, "stat": stat.Panel, "table": table.Panel, "bars": barchart.Panel}


def _panel(panel: Panel) -> Any:
    output = "time_series" if panel.kind == "timeseries" else "table"
    built = (
        _KINDS[panel.kind]().title(panel.title).description(panel.description).datasource(_source()).unit(panel.unit)
        .no_value(panel.no_data).with_target(Query(panel.sql, output)).thresholds(_thresholds(panel.lines))
    )
    if panel.kind == "timeseries":
        _drawn(built, panel)
    elif panel.kind == "stat":
        built.mappings([_unknown()])
        built.reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
    elif panel.kind == "table":
        for column, shown in panel.columns.items():
            built.override_by_name(column, _column(shown))
    return built


def _drawn(built: Any, panel: Panel) -> None:
    legend = common_builders.VizLegendOptions().show_legend(True).display_mode(common.LegendDisplayMode.LIST)
    built.legend(legend.placement(common.LegendPlacement.BOTTOM))
    built.span_nulls(False)  # a gap is a gap: nothing was counted there
    built.min(0)
    if panel.stacked:
        built.draw_style(common.GraphDrawStyle.BARS).fill_opacity(60)
        built.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL))
    if panel.lines:
        built.thresholds_style(common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED))


def _thresholds(lines: Sequence[tuple[float, str]]) -> Any:
    steps = [model.Threshold(value=None, color=GREEN if lines else BLUE)]
    steps += [model.Threshold(value=value, color=color) for value, color in lines]
    return builders.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _unknown() -> model.SpecialValueMap:
    return model.SpecialValueMap(options=model.DashboardSpecialValueMapOptions(
        match=model.SpecialValueMatch.NULL_AND_NAN, result=model.ValueMappingResult(text="unknown", color=GREY)))


def _column(shown: str) -> list[model.DynamicConfigValue]:
    if shown == "words":
        words = {word: {"text": word, "color": color} for word, color in WORDS.items()}
        return [
            model.DynamicConfigValue(id_val="mappings", value=[{"type": "value", "options": words}]),
            model.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}),
        ]
    if shown.startswith("link:"):
        title, _, url = shown.removeprefix("link:").partition("|")
        return [model.DynamicConfigValue(id_val="links", value=[{"title": title, "url": url}])]
    return [model.DynamicConfigValue(id_val="unit", value=shown)]
