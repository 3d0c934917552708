"""What was parked before bodies were compressed is compressed, whole, also when that is killed in the middle."""

import subprocess
import sys
import zlib
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import column, insert, table, text
from sqlmodel import select

from monitor.database import schema
from monitor.database.engine import Engines
from monitor.database.tables import Instant, ParkedRow
from monitor.facts.parked import body_of
from monitor.intake.consequences import open_store
from tests.monitor.conftest import T
from tests.places import ROOT

BODIES = [bytes([number % 256]) * number * 50 for number in range(40)]
# compresses few at a time, and dies in the middle
KILLED = """
import importlib, os, sys
from monitor.database.engine import Engines

script = importlib.import_module("monitor.database.migrations.versions.0009_parked_size")
engines = Engines(sys.argv[1])
script.ROWS = 7
for _ in range(2):
    with engines.alone(any_schema=True) as connection:
        script.move(connection)
with engines.alone(any_schema=True) as connection:
    script.move(connection)
    os._exit(9)
"""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.real("postgres"))])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database as revision 0008 left it, with parked input."""
    if request.param == "sqlite":
        address = f"sqlite:///{tmp_path / 'vigie.sqlite'}"
    else:
        address = request.getfixturevalue("postgres_cluster").fresh_database(migrated=False)
    engines = Engines(address)
    schema.migrate(engines, to="0008")
    parked = table("parked", *map(column, ("batch_id", "collector", "place", "reason", "text", "body")), column("at", Instant()))
    with engines.alone(any_schema=True) as connection:
        connection.execute(insert(parked), [
            {"batch_id": 1, "collector": "mail", "place": f"box/{n}", "reason": "malformed", "text": "", "body": body, "at": T}
            for n, body in enumerate(BODIES)
        ])  # fmt: skip
    engines.dispose()
    return address


def sizes(url: str) -> list[int | None]:
    engines = Engines(url)
    with engines.reading() as connection:
        sizes_ = list(connection.execute(text("SELECT size FROM parked ORDER BY id")).scalars())
    engines.dispose()
    return sizes_


def test_bodies_are_compressed_and_read_as_they_came(url: str):
    killed = subprocess.run([sys.executable, "-c", KILLED, url], cwd=ROOT, capture_output=True, text=True, check=False)
    assert killed.returncode == 9, killed.stderr
    assert sizes(url) == [len(body) for body in BODIES[:14]] + [None] * 26
    with closing(open_store(url)) as store:
        store.migrate()
        with store.reading_session() as session:
            rows = list(session.exec(select(ParkedRow).order_by(ParkedRow.id)))
            assert [row.size for row in rows] == list(map(len, BODIES))
            assert [zlib.decompress(row.body) for row in rows] == BODIES
            assert [body_of(session, row.id) for row in rows] == BODIES
            assert body_of(session, rows[9].id, 10) == BODIES[9][:10]
