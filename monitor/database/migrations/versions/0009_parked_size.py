"""Parked bodies are compressed and say how large they were; what retention looks for has an index."""

from __future__ import annotations

import sys
import zlib

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ROWS = 100  # of a piece: a body may be 25 MB
_PARKED = sa.table("parked", sa.column("id"), sa.column("body", sa.LargeBinary()), sa.column("size"))


def move(connection: sa.Connection) -> bool:
    """Compress a piece; False when all are. A row without a size is as it came."""
    if "size" not in {column["name"] for column in sa.inspect(connection).get_columns("parked")}:
        connection.exec_driver_sql("ALTER TABLE parked ADD COLUMN size BIGINT")
    plain = sa.select(_PARKED.c.id, _PARKED.c.body).where(_PARKED.c.size.is_(None)).order_by(_PARKED.c.id).limit(ROWS)
    rows = connection.execute(plain).all()
    for id_, body in rows:
        values = {"body": zlib.compress(bytes(body)), "size": len(body)}
        connection.execute(_PARKED.update().where(_PARKED.c.id == id_).values(**values))
    if rows:
        print(f"{revision}: parked: compressed up to id {rows[-1][0]}", file=sys.stderr, flush=True)
    return bool(rows)


def upgrade() -> None:
    with op.batch_alter_table("parked") as parked:
        parked.alter_column("size", existing_type=sa.BigInteger(), nullable=False)
    settled, lifted = sa.text("settled_at IS NOT NULL"), sa.text("lifted_at IS NOT NULL")
    op.create_index("parked_settled", "parked", ["settled_at"], sqlite_where=settled, postgresql_where=settled)
    op.create_index("suppression_lifted", "suppression", ["lifted_at"], sqlite_where=lifted, postgresql_where=lifted)
