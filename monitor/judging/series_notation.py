"""promtool's notation of test series: `complaint{customer="acme"}` and `0+10x3 _x2 5`. Pure.

Source: Prometheus, "Unit testing for rules". What stands for staleness there (`stale`) is no value here, as `_` is.
"""

from __future__ import annotations

import re

MOST_VALUES = 100_000

_SERIES = re.compile(r"\s*(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(?P<labels>.*)\})?\s*", re.DOTALL)
_LABEL = re.compile(r'\s*(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"(?P<value>(?:[^"\\]|\\.)*)"\s*(?:,|$)')
_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_GROUP = re.compile(rf"(?P<start>{_NUMBER})(?:(?P<sign>[-+])(?P<step>{_NUMBER.removeprefix('[-+]?')}))?x(?P<times>\d+)")
_PLAIN = re.compile(_NUMBER)
_GAP = re.compile(r"_(?:x(?P<times>\d+))?|stale")


def series(text: str) -> tuple[str, dict[str, str]]:
    """Name and labels; raises ValueError for what is no series."""
    match = _SERIES.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is no series — write it such as complaint{{customer=\"acme\"}}")
    labels, rest = {}, match["labels"] or ""
    while rest.strip():
        label = _LABEL.match(rest)
        if label is None:
            raise ValueError(f"'{rest.strip()}' is no label — write labels such as customer=\"acme\", separated by commas")
        labels[label["name"]] = re.sub(r"\\(.)", r"\1", label["value"])
        rest = rest[label.end():]
    return match["name"], labels


def values(text: str) -> list[float | None]:
    """One value per interval; None where there is none. Raises ValueError, also for more than 100,000.

    `axn` is a and n times a more, `a+bxn` and `a-bxn` go on in steps of b; `_` and `_xn` leave values out.
    """
    read: list[float | None] = []
    for word in text.split():
        if gap := _GAP.fullmatch(word):
            read += [None] * _times(gap["times"] or "1")
        elif _PLAIN.fullmatch(word):
            read.append(float(word))
        elif group := _GROUP.fullmatch(word):
            step = float(f"{group['sign']}{group['step']}") if group["sign"] else 0.0
            read += [float(group["start"]) + i * step for i in range(_times(group["times"]) + 1)]
        else:
            raise ValueError(f"'{word}' is no value — write numbers, 0+10x5, 3x5 or _")
        if len(read) > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES:,} values in one series — use a longer interval")
    return read


def _times(text: str) -> int:
    return min(int(text[:9]), MOST_VALUES + 1)
