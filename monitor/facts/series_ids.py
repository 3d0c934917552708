"""Which number a series has: looked up in memory, else created in bulk."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from collectors.cleaning import kept_name
from collectors.observation import Observation, Subject

SeriesKey = tuple[str, Subject]  # measure, subject

INDEXED_LENGTH = 600  # characters, of at most four bytes each
_REMEMBERED = 500_000
_COLUMNS = ("measure", "key", *Subject._fields)
# New series are made in one statement: on PostgreSQL from one JSON text, which the driver need not look into (arrays of
# texts cost it more than all else), on SQLite by one prepared INSERT.
_INSERT = {
    "postgresql": f"INSERT INTO series ({', '.join(_COLUMNS)})"  # noqa: S608 - our own column names
    f" SELECT {', '.join(f'made->>{number}' for number in range(len(_COLUMNS)))} FROM json_array_elements(%s::json) made"
    " ON CONFLICT (key) DO NOTHING",
    "sqlite": f"INSERT INTO series ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608
    " ON CONFLICT (key) DO NOTHING",
}
_written = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_SELECT = {
    "postgresql": "SELECT key, id FROM series WHERE key = ANY(ARRAY(SELECT json_array_elements_text(%s::json)))",
    "sqlite": "SELECT key, id FROM series WHERE key IN (SELECT value FROM json_each(?))",
}


def series_key(measure: str, subject: Subject) -> str:
    """The canonical text of a series: only the fields that are set, so that a new field changes no old key."""
    values = {name: kept_name(value) for name, value in subject._asdict().items() if value}
    return short(f"{measure} {_written(values)}")


def short(key: str) -> str:
    """A key an index can hold (PostgreSQL: 2,704 bytes): itself, or its SHA-256 where it is too long."""
    return key if len(key) <= INDEXED_LENGTH else f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


class SeriesIds:
    """The ids already seen. Not more than a bounded number is remembered; forgetting costs a query."""

    def __init__(self) -> None:
        self._known: defaultdict[str, dict[Subject, int]] = defaultdict(dict)
        self._count = 0
        self._generation: str | None = None

    def hold(self, generation: str | None) -> None:
        """Forget everything when series were pruned since (monitor.facts.series_unused)."""
        if generation != self._generation:
            self._known, self._count, self._generation = defaultdict(dict), 0, generation

    def unknown(self, connection: Connection, observations: Iterable[Observation]) -> set[SeriesKey]:
        """The series of observations that are not there yet."""
        keys = {(each.measure, each.subject) for each in observations if each.subject not in self._known[each.measure]}
        texts = {key: series_key(*key) for key in keys}
        known = _select(connection, sorted(set(texts.values()))) if texts else {}
        return {key for key, name in texts.items() if name not in known}

    def find(self, connection: Connection, observations: Sequence[Observation]) -> tuple[list[int], dict[SeriesKey, int]]:
        """The id of each observation's series in order, and those that were looked up or created now.

        The latter are to be remembered only once the transaction is committed.
        """
        known = self._known
        ids = [known[each.measure].get(each.subject, 0) for each in observations]
        if 0 not in ids:
            return ids, {}
        missing = {(each.measure, each.subject) for each, id_ in zip(observations, ids, strict=True) if not id_}
        looked_up = _look_up(connection, missing)
        return [
            id_ or looked_up[each.measure, each.subject] for each, id_ in zip(observations, ids, strict=True)
        ], looked_up

    def remember(self, looked_up: dict[SeriesKey, int]) -> None:
        self._count += len(looked_up)
        if self._count > _REMEMBERED:
            self._known = defaultdict(dict)
            self._count = len(looked_up)
        for (measure, subject), id_ in looked_up.items():
            self._known[measure][subject] = id_


def _look_up(connection: Connection, keys: set[SeriesKey]) -> dict[SeriesKey, int]:
    texts = {key: series_key(*key) for key in keys}
    ids = _select(connection, sorted(set(texts.values())))
    new = {name: key for key, name in texts.items() if name not in ids}
    if new:
        _insert(connection, [_row(name, new[name]) for name in sorted(new)])
        ids |= _select(connection, sorted(new))
    return {key: ids[name] for key, name in texts.items()}


def _row(name: str, key: SeriesKey) -> tuple[str | None, ...]:
    measure, subject = key
    return (measure, name, *(kept_name(value) if value else None for value in subject))


def _insert(connection: Connection, rows: list[tuple[str | None, ...]]) -> None:
    cursor = connection.connection.cursor()
    if connection.dialect.name == "postgresql":
        cursor.execute(_INSERT["postgresql"], [_written(rows)])
    else:
        cursor.executemany(_INSERT["sqlite"], rows)


def _select(connection: Connection, names: list[str]) -> dict[str, int]:
    cursor = connection.connection.cursor()
    cursor.execute(_SELECT[connection.dialect.name], [_written(names)])
    return dict(cursor.fetchall())
