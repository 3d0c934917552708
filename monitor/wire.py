"""What every shape that leaves the process has in common; the shapes stand with their features (`*/wire.py`).

HTTP, `--json` and web hooks print these models and nothing else. A row of the database is never printed: its
columns come, go and are renamed without anybody outside noticing, and none of them leaves by accident.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Wire(BaseModel):
    """A shape as it is printed, in the order of its fields; read from a row (or anything) with these attributes."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    @classmethod
    def from_row(cls, row: Any) -> Self:
        return cls.model_validate(row)

    @classmethod
    def from_rows(cls, rows: Iterable[Any]) -> list[Self]:
        return [cls.from_row(row) for row in rows]


class RefusedLine(Wire):
    """A line of an input that could not be taken: its number (from 1) and why."""

    line: int
    error: str
