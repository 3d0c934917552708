"""One way to page through every list: so many of them, after the place where the last page ended.

The place is opaque outside (base64url of the sort key of the last row), and stays right while rows come and go:
nothing is shown twice and nothing is left out, which counting rows off (OFFSET) cannot promise.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

import orjson
from sqlalchemy import ColumnElement, Integer, Select, and_, false, or_
from sqlmodel import Session

from monitor.database.tables import Instant, from_micros, to_micros

MOST = 10_000
USUAL = 1_000
LONGEST_PLACE = 2_000
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_LATEST_MICROS = 253_402_300_799_999_999  # the last of the year 9999

Row = TypeVar("Row")


class PlaceError(ValueError):
    """The place is none that a page of this list ended with."""

    def __init__(self) -> None:
        super().__init__("after: take it from the link to the next page")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted: at most `limit` rows, after the place the last page named."""

    limit: int = USUAL
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Paged(Generic[Row]):
    """A page. `next` is the place to go on after; None on the last page."""

    rows: list[Row]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What a list is sorted by: columns without NULLs that together name one row, all in one direction."""

    columns: tuple[Any, ...]
    descending: bool = True
    of: Callable[[Any], Any] = field(default=lambda row: row)  # a result → the row that has the columns

    def place(self, row: Any) -> str:
        return _place([_plain(getattr(self.of(row), column.key)) for column in self.columns])

    def beyond(self, after: str) -> ColumnElement[bool]:
        """What comes after that place. Raises PlaceError."""
        values = _values(after, [_kind(column) for column in self.columns])
        condition: ColumnElement[bool] = false()
        for column, value in reversed(list(zip(self.columns, values, strict=True))):
            further = column < value if self.descending else column > value
            condition = or_(further, and_(column == value, condition))
        first = self.columns[0]
        # said once more for the first column, so that an index on it is used
        return and_(first <= values[0] if self.descending else first >= values[0], condition)

    @property
    def by(self) -> list[Any]:
        return [column.desc() if self.descending else column.asc() for column in self.columns]


def paged(session: Session, chosen: Select[Any], order: Order, page: Page) -> Paged[Any]:
    """One page of a query; rows of one entity come bare. Raises PlaceError."""
    if page.after is not None:
        chosen = chosen.where(order.beyond(page.after))
    result: Any = session.exec(chosen.order_by(*order.by).limit(page.limit + 1))  # type: ignore[call-overload]  # SQLModel's own kinds of select
    rows = list(result)
    shown = rows[: page.limit]
    return Paged(shown, order.place(shown[-1]) if len(rows) > page.limit else None)


def part(rows: Iterable[Row], key: Callable[[Row], tuple[str, ...]], page: Page) -> Paged[Row]:
    """One page of what is in memory already, sorted by a key of texts. Raises PlaceError."""
    ordered = sorted(rows, key=key)
    if page.after is not None and ordered:
        place = tuple(_values(page.after, [str] * len(key(ordered[0]))))
        ordered = [row for row in ordered if key(row) > place]
    shown = ordered[: page.limit]
    return Paged(shown, _place(list(key(shown[-1]))) if len(ordered) > page.limit else None)


def _kind(column: Any) -> type:
    if isinstance(column.type, Instant):
        return datetime
    return int if isinstance(column.type, Integer) else str


def _plain(value: Any) -> int | str:
    return to_micros(value) if isinstance(value, datetime) else value


def _place(values: Sequence[int | str]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(list(values))).rstrip(b"=").decode()


def _values(place: str, kinds: Sequence[type]) -> list[Any]:
    try:
        values = orjson.loads(base64.b64decode(place + "=" * (-len(place) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError):
        raise PlaceError from None
    if not isinstance(values, list) or len(values) != len(kinds):
        raise PlaceError
    return [_value(value, kind) for value, kind in zip(values, kinds, strict=True)]


def _value(value: Any, kind: type) -> Any:
    if kind is str and isinstance(value, str) and "\0" not in value:
        return value
    if kind is int and type(value) is int and _SMALLEST <= value <= _LARGEST:
        return value
    if kind is datetime and type(value) is int and 0 <= value <= _LATEST_MICROS:
        return from_micros(value)
    raise PlaceError
