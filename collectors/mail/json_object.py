"""Values of a JSON object from a stranger: of the type we expect, or empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Object = Mapping[str, Any]


def text(said: Object, *names: str) -> str:
    """The string under the first of these names that has one."""
    return next((value.strip() for name in names if isinstance(value := said.get(name), str)), "")


def inside(said: Object, name: str) -> Object:
    """The object under a name."""
    found = said.get(name)
    return found if isinstance(found, dict) else {}


def listed(said: Object, name: str, most: int = 1_000) -> list[Object]:
    """The objects in the list under a name."""
    found = said.get(name)
    return [one for one in found[:most] if isinstance(one, dict)] if isinstance(found, list) else []


def count(said: Object, name: str) -> int:
    """The number under a name, also where it was written as a string; 0 for nonsense."""
    found = said.get(name)
    if isinstance(found, str) and found.isdecimal() and len(found) < 13:
        return int(found)
    return found if isinstance(found, int) and 0 <= found < 10**12 else 0
