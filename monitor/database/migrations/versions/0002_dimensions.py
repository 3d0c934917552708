"""A mailbox is no collector and an operator is no list: each has a column, or a name, of its own.

* `series` gets operator, mailbox, seed and aspect. What was stored of a mailbox moves from collector to mailbox.
* Incidents about listings named the operator of a list as `dnsbl`; they name it as `operator`, and so do silences
  whose `dnsbl` is the name of an operator and of no list.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NEW = ("operator", "mailbox", "seed", "aspect")
_SERIES = sa.table("series", *map(sa.column, ("id", "measure", "key", "collector", "mailbox", "dnsbl")))
_LATEST = sa.table("latest", sa.column("series_id"), sa.column("detail", sa.JSON()))
_LISTING = sa.table("listing", sa.column("dnsbl"), sa.column("detail", sa.JSON()))
_INCIDENT = sa.table(
    "incident", *map(sa.column, ("id", "subject_key", "open_key")), sa.column("subject", sa.JSON())
)
_SILENCE = sa.table("silence", sa.column("id"), sa.column("matchers", sa.JSON()))


def upgrade() -> None:
    for name in _NEW:
        op.add_column("series", sa.Column(name, sa.String()))
    connection = op.get_bind()
    _mailboxes(connection)
    operators, lists = _names_of_lists(connection)
    for row in connection.execute(sa.select(_INCIDENT)).all():
        # an incident about a list itself names its collector, and the list by its id
        if "dnsbl" in row.subject and "collector" not in row.subject and row.subject["dnsbl"] not in lists - operators:
            _rename_subject(connection, row)
    for row in connection.execute(sa.select(_SILENCE)).all():
        if row.matchers.get("dnsbl") in operators - lists:
            _set(connection, _SILENCE, row.id, matchers=_renamed(row.matchers))


def _mailboxes(connection: sa.Connection) -> None:
    chosen = sa.select(_SERIES).where(_SERIES.c.measure == "mailbox_read", _SERIES.c.collector.is_not(None))
    for row in connection.execute(chosen).all():
        _set(connection, _SERIES, row.id, key=_key(row.collector), mailbox=row.collector, collector=None)


def _key(mailbox: str) -> str:
    """As facts.series_ids writes it: JSON of the fields set, its SHA-256 where an index could not hold it."""
    key = f"mailbox_read {json.dumps({'mailbox': mailbox}, ensure_ascii=False, separators=(',', ':'))}"
    return key if len(key) <= 600 else f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def _names_of_lists(connection: sa.Connection) -> tuple[set[str], set[str]]:
    """Operators as listings and scores name them, and ids of lists."""
    lists = set(connection.execute(sa.select(_SERIES.c.dnsbl).where(_SERIES.c.dnsbl.is_not(None)).distinct()).scalars())
    operators = set()
    scores = sa.select(_SERIES.c.dnsbl, _LATEST.c.detail).join_from(_SERIES, _LATEST, _LATEST.c.series_id == _SERIES.c.id)
    listings = sa.select(_LISTING.c.dnsbl, _LISTING.c.detail)
    for dnsbl, detail in (
        *connection.execute(scores.where(_SERIES.c.measure == "list_score")), *connection.execute(listings)
    ):
        lists.add(dnsbl)
        operators.add((detail or {}).get("operator") or "")
    return operators - {""}, lists


def _rename_subject(connection: sa.Connection, row: sa.Row[tuple[object, ...]]) -> None:
    subject = _renamed(row.subject)
    key = "|".join(f"{name}={value}" for name, value in subject.items())
    # an incident that has ended has its own id there
    open_key = key if row.open_key == row.subject_key else row.open_key
    _set(connection, _INCIDENT, row.id, subject=subject, subject_key=key, open_key=open_key)


def _renamed(values: Mapping[str, str]) -> dict[str, str]:
    return {"operator" if name == "dnsbl" else name: value for name, value in values.items()}


def _set(connection: sa.Connection, table: sa.TableClause, id_: object, **values: object) -> None:
    connection.execute(table.update().where(table.c.id == id_).values(**values))
