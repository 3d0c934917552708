"""A board with its data as one HTML page: what Grafana would show, drawn without Grafana, for the README and for a look in a test.

Same queries, same places of panels, same thresholds; no interaction. Time series are SVG lines or stacked bars, times in UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from itertools import pairwise
from typing import Any

from dashboards.board import WORDS
from dashboards.check import Answer, Database
from dashboards.expand import Document, Period, expanded

_UNIT = 34  # pixels of a grid row, as in the style below
_COLORS = ("#5794f2", "#73bf69", "#ff9830", "#b877d9", "#f2495c", "#8ab8ff", "#fade2a", "#96d98d", "#ff7383", "#c0d8ff")
_STYLE = """
body{margin:0;background:#111217;color:#d5d6da;font:13px/1.35 system-ui,sans-serif;padding:12px}
h1{font-size:20px;margin:0 0 2px}p{margin:0 0 8px;color:#9fa3ad}
main{display:grid;grid-template-columns:repeat(24,1fr);grid-auto-rows:34px;gap:6px}
section{background:#181b1f;border:1px solid #2b2e35;border-radius:3px;padding:6px 8px;overflow:hidden}
h2{font-size:15px;margin:0;align-self:end}h3{font-size:12px;margin:0 0 4px;font-weight:600;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.big{font-size:34px;text-align:center;font-weight:600}.none{color:#8e8e8e;padding:12px 4px}
table{border-collapse:collapse;width:100%;font-size:11px}td,th{text-align:left;padding:2px 6px;border-bottom:1px solid #2b2e35;max-width:340px;
overflow:hidden;text-overflow:ellipsis;white-space:nowrap}th{color:#9fa3ad;font-weight:600}.legend{font-size:11px;white-space:nowrap;overflow:hidden}
"""


def drawn(document: Document, database: Database, period: Period, chosen: Mapping[str, Sequence[str]] = {}) -> str:
    """The whole page. Raises what the database raises."""
    parts = []
    for panel in document["panels"]:
        place = panel["gridPos"]
        style = f"grid-column:{place['x'] + 1}/span {place['w']};grid-row:{place['y'] + 1}/span {place['h']}"
        if panel["type"] == "row":
            parts.append(f'<h2 style="{style}">{escape(panel["title"])}</h2>')
        elif panel["type"] == "text":
            parts.append(f'<p style="{style}">{escape(panel["options"]["content"])}</p>')
        else:
            parts.append(f'<section style="{style}"><h3>{escape(panel["title"])}</h3>{_body(panel, database, period, chosen)}</section>')
    head = f"<h1>{escape(document['title'])}</h1>"
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(document["title"])}</title><style>{_STYLE}</style>{head}<main>{"".join(parts)}</main></html>'


def _body(panel: Mapping[str, Any], database: Database, period: Period, chosen: Mapping[str, Sequence[str]]) -> str:
    answer = database(expanded(panel["targets"][0]["rawSql"], period, chosen))
    defaults = panel["fieldConfig"]["defaults"]
    if not answer.rows:
        return f'<div class="none">{escape(defaults["noValue"])}</div>'
    if panel["type"] == "stat":
        return _stat(answer, defaults)
    if panel["type"] == "timeseries":
        return _chart(panel, answer, period)
    return _table(panel, answer)


def _stat(answer: Answer, defaults: Mapping[str, Any]) -> str:
    value = answer.rows[0][-1]
    color = "#8e8e8e"
    if value is not None:
        for step in defaults["thresholds"]["steps"]:
            if step.get("value") is None or float(value) >= step["value"]:
                color = step["color"]
    return f'<div class="big" style="color:{color}">{escape(_shown(value, defaults["unit"]))}</div>'


def _table(panel: Mapping[str, Any], answer: Answer) -> str:
    units = {each["matcher"]["options"]: next((item["value"] for item in each["properties"] if item["id"] == "unit"), "")
             for each in panel["fieldConfig"]["overrides"]}
    room = int((panel["gridPos"]["h"] * _UNIT - 60) / 21)
    head = "".join(f"<th>{escape(name)}</th>" for name in answer.columns)
    rows = "".join(f"<tr>{''.join(_cell(value, units.get(name, '')) for name, value in zip(answer.columns, row, strict=True))}</tr>" for row in answer.rows[:room])
    return f"<table><tr>{head}</tr>{rows}</table>"


def _cell(value: Any, unit: str) -> str:
    text = _shown(value, unit)
    color = WORDS.get(text)
    return f"<td{f' style={chr(34)}color:{color}{chr(34)}' if color else ''}>{escape(text)}</td>"


def _shown(value: Any, unit: str) -> str:  # noqa: PLR0911 - a table of kinds
    if value is None:
        return "unknown" if unit else ""
    if unit == "percentunit":
        return f"{float(value) * 100:.3g} %"
    if unit == "s":
        return str(timedelta(seconds=round(float(value))))
    if isinstance(value, timedelta):
        return str(timedelta(seconds=round(value.total_seconds())))
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.0f}" if isinstance(value, float) else str(value)


def _chart(panel: Mapping[str, Any], answer: Answer, period: Period) -> str:
    width, height = float(panel["gridPos"]["w"]) * 58, float(panel["gridPos"]["h"]) * _UNIT - 62
    series: dict[str, list[tuple[datetime, float | None]]] = {}
    for time, name, value in answer.rows:
        series.setdefault(name, []).append((time, None if value is None else float(value)))
    stacked = panel["fieldConfig"]["defaults"].get("custom", {}).get("drawStyle") == "bars"
    lines = [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"] if step.get("value") is not None]
    top: float = max([_highest(series, stacked=stacked), *(line * 1.1 for line in lines)]) or 1.0

    def x(time: datetime) -> float:
        return 46.0 + (time - period.since) / (period.until - period.since) * (width - 52)

    def y(value: float) -> float:
        return height - 16 - value / top * (height - 22)

    unit = panel["fieldConfig"]["defaults"]["unit"]
    axis = "".join(f'<text x="0" y="{y(top * part) + 4:.1f}" fill="#9fa3ad" font-size="10">{escape(_shown(top * part, unit))}</text>'
                   f'<line x1="46" x2="{width - 6}" y1="{y(top * part):.1f}" y2="{y(top * part):.1f}" stroke="#2b2e35"/>' for part in (0, 0.5, 1))
    days = "".join(f'<text x="{x(period.since + (period.until - period.since) * part):.1f}" y="{height - 3}" fill="#9fa3ad" font-size="10">'
                   f"{period.since + (period.until - period.since) * part:%m-%d}</text>" for part in (0, 0.25, 0.5, 0.75))
    limits = "".join(f'<line x1="46" x2="{width - 6}" y1="{y(line):.1f}" y2="{y(line):.1f}" stroke="#f2495c" stroke-dasharray="5 4"/>' for line in lines)
    marks = "".join(_bars(series, x, y) if stacked else _lines(series, x, y))
    names = " ".join(f'<span style="color:{_color(number)}">■</span> {escape(name)}' for number, name in enumerate(series))
    return (f'<svg width="100%" viewBox="0 0 {width:.0f} {height:.0f}" preserveAspectRatio="none" style="height:{height:.0f}px">{axis}{days}{limits}{marks}</svg>'
            f'<div class="legend">{names}</div>')


def _color(number: int) -> str:
    return _COLORS[number % len(_COLORS)]


_Series = Mapping[str, Sequence[tuple[datetime, float | None]]]
_Place = Callable[[Any], float]


def _highest(series: _Series, *, stacked: bool) -> float:
    if not stacked:
        return max((value for points in series.values() for _, value in points if value is not None), default=0.0)
    sums: dict[datetime, float] = {}
    for points in series.values():
        for time, value in points:
            sums[time] = sums.get(time, 0.0) + (value or 0.0)
    return max(sums.values(), default=0.0)


def _lines(series: _Series, x: _Place, y: _Place) -> Iterable[str]:
    """A line breaks where nothing is known."""
    for number, points in enumerate(series.values()):
        pieces: list[list[str]] = [[]]
        for time, value in points:
            if value is None:
                pieces.append([])
            else:
                pieces[-1].append(f"{x(time):.1f},{y(value):.1f}")
        for piece in pieces:
            if len(piece) == 1:
                yield f'<circle cx="{piece[0].split(",")[0]}" cy="{piece[0].split(",")[1]}" r="2" fill="{_color(number)}"/>'
            elif piece:
                yield f'<polyline points="{" ".join(piece)}" fill="none" stroke="{_color(number)}" stroke-width="1.5"/>'


def _bars(series: _Series, x: _Place, y: _Place) -> Iterable[str]:
    times = sorted({time for points in series.values() for time, _ in points})
    step = min((after - before for before, after in pairwise(times)), default=timedelta(hours=1))
    below: dict[datetime, float] = {}
    for number, points in enumerate(series.values()):
        for time, value in points:
            bottom = below.get(time, 0.0)
            below[time] = bottom + (value or 0.0)
            wide = max((x(time + step) - x(time)) * 0.8, 1.0)
            yield (f'<rect x="{x(time):.1f}" y="{y(below[time]):.1f}" width="{wide:.1f}" height="{y(bottom) - y(below[time]):.1f}"'
                   f' fill="{_color(number)}" fill-opacity="0.75"/>')
