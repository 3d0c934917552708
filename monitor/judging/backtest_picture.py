"""A backtest as one page: when each rule fired for what, and how many episodes and messages each day had. HTML with the pictures in it.

pandas makes the frames; it is imported here alone, so that nobody but who wants a picture needs it (extra `reports`). Nothing on the page
is loaded from elsewhere, and all that came from outside is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

import pandas as pd

from monitor.judging.backtest import Episode
from monitor.judging.backtest_messages import Message

_MOST_ROWS = 80  # of the picture: those that fired longest
_WIDTH, _LEFT, _ROW, _HEIGHT = 900, 330, 16, 90
_COLORS = ("#1f5fa8", "#c2571a")  # of the configured rules, of the others
_CSS = (
    "body{font:14px/1.45 system-ui,sans-serif;margin:2rem;max-width:1300px;color:#1c2430}table{border-collapse:collapse}"
    "td,th{padding:.25rem .8rem .25rem 0;text-align:left;border-bottom:1px solid #dde2e8}td.n{text-align:right}text{font:11px system-ui,sans-serif;fill:#333}"
)


@dataclass(frozen=True, slots=True)
class Side:
    """What one rule file makes of the history."""

    named: str
    episodes: Sequence[Episode]
    messages: Sequence[Message]


def page(sides: Sequence[Side], since: datetime, until: datetime) -> str:
    """The page. Up to two sides."""
    frame = episodes_frame(sides, until)
    days = days_frame(sides, since, until)
    parts = [
        f"<h1>Backtest, {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC</h1>",
        "<p>" + " ".join(f'<b style="color:{color}">&#9632; {escape(side.named)}</b>' for side, color in zip(sides, _COLORS, strict=False)) + "</p>",
        "<h2>By rule</h2>", _table(totals_frame(frame, sides)),
        "<h2>When each fired</h2>", _timeline(frame, sides, since, until),
        "<h2>Episodes a day</h2>", _bars(days, sides, "episodes"),
        "<h2>Messages a day</h2>", _bars(days, sides, "messages"),
    ]
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Backtest</title><style>{_CSS}</style><body>{"".join(parts)}</body></html>\n'


def episodes_frame(sides: Sequence[Side], until: datetime) -> pd.DataFrame:
    """One row an episode: rules, rule, scope, begin, end, hours."""
    rows = [
        (side.named, each.rule, ", ".join(f"{name} {value}" for name, value in each.scope.items()) or "everything", each.since, each.until or until)
        for side in sides for each in side.episodes
    ]
    frame = pd.DataFrame(rows, columns=["rules", "rule", "scope", "begin", "end"])
    frame["hours"] = (pd.to_datetime(frame["end"], utc=True) - pd.to_datetime(frame["begin"], utc=True)).dt.total_seconds() / 3600
    return frame


def totals_frame(frame: pd.DataFrame, sides: Sequence[Side]) -> pd.DataFrame:
    """One row a rule: episodes and hours, by side."""
    grouped = frame.pivot_table(index="rule", columns="rules", values="hours", aggfunc=["count", "sum"], fill_value=0)
    made = pd.DataFrame(index=grouped.index)
    for side in sides:
        for column, words in (("count", "episodes"), ("sum", "hours")):
            made[f"{words}, {side.named}"] = grouped[column][side.named].round(1) if (column, side.named) in grouped.columns else 0
    return made.sort_index()


def days_frame(sides: Sequence[Side], since: datetime, until: datetime) -> pd.DataFrame:
    """One row a day (UTC), a column for each side's episodes and messages that begin in it: days without any too."""
    days = pd.date_range(pd.Timestamp(since).floor("D"), pd.Timestamp(until), freq="D")
    made = pd.DataFrame(index=days)
    for side in sides:
        for words, instants in (("episodes", [each.since for each in side.episodes]), ("messages", [each.due_at for each in side.messages])):
            counted = pd.Series(1, index=pd.DatetimeIndex(instants, tz="UTC"), dtype="int64").resample("D").sum()
            made[f"{words}, {side.named}"] = counted.reindex(days, fill_value=0)
    return made


def _table(frame: pd.DataFrame) -> str:
    if frame.empty:
        return "<p>Nothing fired.</p>"
    head = "".join(f"<th>{escape(str(name))}</th>" for name in ("rule", *frame.columns))
    rows = "".join(
        f"<tr><td>{escape(str(rule))}</td>" + "".join(f'<td class="n">{value:,g}</td>' for value in values) + "</tr>"
        for rule, values in zip(frame.index, frame.itertuples(index=False), strict=True)
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def _timeline(frame: pd.DataFrame, sides: Sequence[Side], since: datetime, until: datetime) -> str:
    """A line for each rule and scope, those that fired longest; a bar for each episode, the configured rules' above."""
    longest = frame.groupby(["rule", "scope"])["hours"].sum().nlargest(_MOST_ROWS)
    if longest.empty:
        return "<p>Nothing fired.</p>"
    span = (until - since).total_seconds()
    place = {key: number for number, key in enumerate(sorted(longest.index))}
    side_of = {side.named: number for number, side in enumerate(sides)}
    thick = (_ROW - 4) / len(sides)
    parts = [
        f'<text x="0" y="{number * _ROW + 12}">{escape(f"{rule}: {scope}"[:58])}</text>' for (rule, scope), number in place.items()
    ]
    for each in frame.itertuples(index=False):
        number = place.get((each.rule, each.scope))
        if number is None:
            continue
        side = side_of[each.rules]
        x = _LEFT + _WIDTH * max((each.begin - since).total_seconds(), 0) / span
        width = max(_WIDTH * (each.end - each.begin).total_seconds() / span, 1.5)
        title = escape(f"{each.rules}: {each.begin:%Y-%m-%d %H:%M} to {each.end:%Y-%m-%d %H:%M}, {each.hours:.1f} h")
        parts.append(
            f'<rect x="{x:.1f}" y="{number * _ROW + 2 + side * thick:.1f}" width="{width:.1f}" height="{thick:.1f}" fill="{_COLORS[side]}"><title>{title}</title></rect>'
        )
    left = frame.groupby(["rule", "scope"]).ngroups - len(place)
    more = f"<p>and {left} more</p>" if left > 0 else ""
    return _svg(parts, len(place) * _ROW + 4) + more


def _bars(days: pd.DataFrame, sides: Sequence[Side], words: str) -> str:
    columns = [f"{words}, {side.named}" for side in sides]
    most = max(int(days[columns].to_numpy().max(initial=0)), 1)
    step = _WIDTH / len(days)
    wide = step * 0.8 / len(sides)
    parts = [f'<text x="{_LEFT - 10}" y="12" text-anchor="end">{most:,}</text>']
    for number, (day, values) in enumerate(zip(days.index, days[columns].itertuples(index=False), strict=True)):
        for side, value in enumerate(values):
            high = (_HEIGHT - 20) * value / most
            x = _LEFT + number * step + side * wide
            parts.append(
                f'<rect x="{x:.1f}" y="{_HEIGHT - 15 - high:.1f}" width="{max(wide, 0.5):.1f}" height="{high:.1f}" fill="{_COLORS[side]}"><title>{day:%Y-%m-%d}: {value}</title></rect>'
            )
        if number % max(len(days) // 12, 1) == 0:
            parts.append(f'<text x="{_LEFT + number * step:.1f}" y="{_HEIGHT - 2}">{day:%m-%d}</text>')
    return _svg(parts, _HEIGHT)


def _svg(parts: Sequence[Any], height: float) -> str:
    return f'<svg width="{_LEFT + _WIDTH}" height="{height}" role="img">{"".join(parts)}</svg>'
