"""Columns that more than one table has, and the one kind of instant all of them keep."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, DateTime, Dialect, Integer, LargeBinary, String
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import Field

from collectors.instants import EARLIEST, LATEST, checked, clamped

EPOCH = EARLIEST
_MICROSECOND = timedelta(microseconds=1)
DIGEST_BYTES = 16
# `info` of an index that only one engine has: primary keys differ, so what needs an index of its own differs
SQLITE_ONLY = {"only": "sqlite"}
POSTGRESQL_ONLY = {"only": "postgresql"}


def to_micros(at: datetime) -> int:
    """Aware datetime → integer microseconds since 1970 (exact)."""
    return (at - EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Integer microseconds since 1970 → aware UTC datetime (exact)."""
    return EPOCH + timedelta(microseconds=micros)


_LATEST_MICROS = to_micros(LATEST)


class Instant(TypeDecorator[datetime]):
    """A point in time. What comes in is checked (collectors.instants); what is there is read whatever it says."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(DateTime(timezone=True))
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        instant = value if value == LATEST else checked(value)
        return instant if dialect.name == "postgresql" else to_micros(instant)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if dialect.name == "postgresql":
            return clamped(value)
        return from_micros(min(max(value, 0), _LATEST_MICROS))


class Digest(TypeDecorator[str]):
    """The first 16 bytes of a hash; lower-case hex in Python, longer hex is cut (a full hash finds its row)."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002 - one for all
        return None if value is None else digest_bytes(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - one for all
        return None if value is None else bytes(value).hex()


def digest_bytes(text: str) -> bytes:
    """What a `Digest` column keeps of a hash in hex. Raises ValueError for what is no hex."""
    return bytes.fromhex(text)[:DIGEST_BYTES]


class Nameless(TypeDecorator[str]):
    """A text of a primary key, where NULL cannot stand: None in Python is the empty text in the database.

    Compare with `== ""`, never with `is_(None)`.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str:  # noqa: ARG002 - one for all
        return value or ""

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - one for all
        return value or None


# SQLite only counts up a primary key declared INTEGER; PostgreSQL wants 64 bits.
Id = BigInteger().with_variant(Integer(), "sqlite")


def row_id() -> Any:
    return Field(default=None, sa_column=Column(Id, primary_key=True, autoincrement=True))


def instant(*, index: bool = False) -> Any:
    return Field(sa_column=Column(Instant, nullable=False, index=index))


def maybe_instant(*, index: bool = False) -> Any:
    return Field(default=None, sa_column=Column(Instant, nullable=True, index=index))


def json_column(default: Any = dict) -> Any:
    return Field(default_factory=default, sa_column=Column(JSON, nullable=False))
