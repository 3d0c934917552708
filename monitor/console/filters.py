"""How the console says numbers, times and places. Pure; used as template filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup

from monitor.notify.message import lasted, suspension_text, where
from monitor.notify.words import counted
from monitor.rules.texts import percent


def clock(at: datetime, now: datetime) -> Markup:
    """The instant in UTC; the date only when it is not today."""
    shape = "%H:%M:%S UTC" if at.date() == now.date() else "%Y-%m-%d %H:%M UTC"
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(timespec="seconds"), at.strftime(shape))


def ago(at: datetime, now: datetime) -> str:
    """`12 s ago`, `3 h 4 min ago`, `in 5 min`."""
    span = abs(at - now)
    if span > timedelta(minutes=1):
        span -= timedelta(seconds=span.seconds % 60)
    return f"in {lasted(span)}" if at > now else f"{lasted(span)} ago"


def web_link(url: Any) -> str | None:
    """The address when it is one a browser may follow; None for anything else."""
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in {"http", "https"} and parts.netloc else None


def place(scope: Mapping[str, str]) -> Markup:
    """A scope or subject as small labelled pieces."""
    piece = Markup('<span class="piece"><span class="dim">{}</span> {}</span>')
    return Markup(" ").join(piece.format(name, value) for name, value in scope.items()) or Markup("everywhere")


FILTERS: dict[str, Callable[..., Any]] = {
    "ago": ago,
    "suspension": suspension_text,
    "clock": clock,
    "counted": counted,
    "lasted": lasted,
    "percent": percent,
    "place": place,
    "web_link": web_link,
    "where": where,
}
