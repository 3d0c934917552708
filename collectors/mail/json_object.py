"""Values of a JSON object from a stranger: of the type we expect, or empty."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from collectors.mail import counts, times

Object = Mapping[str, Any]


def text(stated: Object, *names: str) -> str:
    """The string under the first of these names that has one."""
    return next((value.strip() for name in names if isinstance(value := stated.get(name), str)), "")


def inside(stated: Object, name: str) -> Object:
    """The object under a name."""
    value = stated.get(name)
    return value if isinstance(value, dict) else {}


def listed(stated: Object, name: str, most: int = 1_000) -> list[Object]:
    """The objects in the list under a name; a single object stands for a list of one."""
    value = stated.get(name)
    if isinstance(value, dict):
        return [value]
    return [item for item in value[:most] if isinstance(item, dict)] if isinstance(value, list) else []


def count(stated: Object, name: str, uncounted: list[str]) -> int:
    """The count under a name; 0 where nothing is stated. What is stated and is no count goes to `uncounted`."""
    value = stated.get(name)
    number = counts.count(value)
    if number is None and value is not None:
        uncounted.append(str(value)[:40])
    return number or 0


def moment(stated: Object, name: str) -> datetime | None:
    """The moment under a name, written as a text or as a number."""
    value = stated.get(name)
    return times.moment(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
