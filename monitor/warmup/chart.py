"""Plans and what became of them, drawn: in characters for a terminal, as SVG for a page or a file. Pure, no scripts.

Both axes are linear in steps and logarithmic in messages, for a plan multiplies: on a linear scale all but its end is flat.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 26
_BARS = "▏▎▍▌▋▊▉█"


@dataclass(frozen=True, slots=True)
class Actual:
    """A day as it was: the step it was on, its cap, what was sent and delivered (None: not known)."""

    label: str
    step: int
    cap: int | None
    sent: int
    delivered: int | None = None
    tone: str = "ok"  # a class of the style sheet


def terminal(per_day: Sequence[int], *, width: int = 48, now_at: int | None = None) -> list[str]:
    """One line per step: its number, a bar on a logarithmic scale, the messages."""
    top = math.log10(max(per_day) + 1)
    digits = len(str(len(per_day)))
    lines = []
    for step, cap in enumerate(per_day, 1):
        mark = ">" if step == now_at else " "
        lines.append(f"{mark}{step:>{digits}} {_bar(math.log10(cap + 1) / top * width):<{width}} {cap:>13,}")
    return lines


def _bar(length: float) -> str:
    whole, part = int(length), int((length - int(length)) * len(_BARS))
    return _BARS[-1] * whole + (_BARS[part - 1] if part else "")


def plan_svg(per_day: Sequence[int], title: str) -> str:
    """The plan as a picture of its own, with its own style."""
    style = (
        "text{font:11px system-ui,sans-serif;fill:#5a6675}.grid{stroke:#dfe3e9}.plan{fill:none;stroke:#2563a8;stroke-width:2}"
        ".dot{fill:#2563a8}.ground{fill:#fff}"
    )
    inner = [f"<style>{style}</style>", f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}"/>']
    inner += _frame(max(per_day), [str(step) for step in range(1, len(per_day) + 1)])
    inner += _steps(list(per_day), max(per_day))
    return _svg(title, inner)


def actual_svg(per_day: Sequence[int], days: Sequence[Actual], title: str) -> str:
    """What was sent on each sending day against what was allowed; styled by the page it stands in."""
    caps = [day.cap if day.cap is not None else per_day[-1] for day in days]
    top = max([*caps, *(day.sent for day in days), 1])
    inner = _frame(top, [day.label for day in days])
    slot = (WIDTH - _LEFT - _RIGHT) / max(len(days), 1)
    for number, day in enumerate(days):
        x, y = _LEFT + number * slot + slot * 0.2, _y(day.sent, top)
        words = f"{day.label}: step {day.step}, {day.sent:,} of {caps[number]:,}"
        words += f", {day.delivered:,} delivered" if day.delivered is not None else ", delivered not known"
        inner.append(
            f'<rect class="bar {escape(day.tone)}" x="{x:.1f}" y="{y:.1f}" width="{slot * 0.6:.1f}"'
            f' height="{HEIGHT - _BOTTOM - y:.1f}"><title>{escape(words)}</title></rect>'
        )
    return _svg(title, inner + _steps(caps, top))


def _svg(title: str, inner: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="ramp" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f"<title>{escape(title)}</title>{''.join(inner)}</svg>"
    )


def _frame(top: int, labels: Sequence[str]) -> list[str]:
    parts = []
    for power in range(math.ceil(math.log10(top + 1)) + 1):
        if (y := _y(10**power, top)) >= _TOP - 1:
            parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(10**power)}</text>')
    every = max(1, math.ceil(len(labels) / 12))
    slot = (WIDTH - _LEFT - _RIGHT) / max(len(labels), 1)
    for number in range(0, len(labels), every):
        x = _LEFT + (number + 0.5) * slot
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(labels[number])}</text>')
    return parts


def _steps(caps: Sequence[int], top: int) -> list[str]:
    """A line of steps, each as wide as its day."""
    slot = (WIDTH - _LEFT - _RIGHT) / max(len(caps), 1)
    points = []
    for number, cap in enumerate(caps):
        x, y = _LEFT + number * slot, _y(cap, top)
        points += [f"{x:.1f},{y:.1f}", f"{x + slot:.1f},{y:.1f}"]
    return [f'<polyline class="plan" points="{" ".join(points)}"/>'] if points else []


def _y(count: float, top: int) -> float:
    share = math.log10(count + 1) / math.log10(top + 1)
    return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


def _short(count: int) -> str:
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count // size}{unit}"
    return str(count)
