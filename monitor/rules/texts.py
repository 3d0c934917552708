"""Texts of rules with names in braces. Nothing is evaluated: `{provider}` is replaced by a word, and that is all. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

_NAME = re.compile(r"\{([^{}]*)\}")
_MOST = 500  # characters of a text
_MOST_OF_ONE = 200  # of what stands for one name


def placeholders(template: str) -> list[str]:
    """The names in braces, in their order."""
    return _NAME.findall(template)


def filled(template: str, values: Mapping[str, Any]) -> str:
    """The template with its names replaced, cut to 500 characters; a name without a value stays as it is."""

    def of(match: re.Match[str]) -> str:
        value = values.get(match[1])
        return match[0] if value is None else shown(value)[:_MOST_OF_ONE]

    text = _NAME.sub(of, template)
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"


def shown(value: Any) -> str:
    """A value as people read it."""
    if isinstance(value, datetime):
        return minute(value)
    if isinstance(value, float):
        return f"{value:,.0f}" if value == round(value) else f"{value:g}"
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {each}" for name, each in value.items())
    return "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def percent(share: float) -> str:
    """A share as people read it; two significant places below one percent."""
    value = share * 100
    return f"{value:.2f} %" if value >= 0.1 or value == 0 else f"{value:.2g} %"


def minute(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M UTC")


def some(names: Any, most: int) -> str:
    """The first of them, and how many more."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
