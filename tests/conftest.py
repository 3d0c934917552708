"""What every test can count on: real servers by name, and one store per engine."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

REQUIRE_REAL = os.environ.get("VIGIE_REQUIRE_REAL") == "1"
# server → the program that must be on this machine
PROGRAMS = {"rbldnsd": "rbldnsd", "dovecot": "dovecot", "chromium": "chromium", "dnsperf": "dnsperf"}


def _has(server: str) -> bool:
    if server == "postgres":
        return bool(shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb")))
    return shutil.which(PROGRAMS[server]) is not None or Path("/usr/sbin", PROGRAMS[server]).exists()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("real"):
        server = mark.args[0]
        if _has(server):
            continue
        text = f"{server} is not on this machine"
        if REQUIRE_REAL:
            pytest.fail(f"{text}, and VIGIE_REQUIRE_REAL=1 asks for it")
        pytest.skip(text)


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[object]:
    """A private PostgreSQL on loopback, for the whole run."""
    from tests.servers.postgres import Cluster

    cluster = Cluster()
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.real("postgres"))])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a fresh database, once per engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'vigie.sqlite'}"
    return request.getfixturevalue("postgres_cluster").fresh_database()


@pytest.fixture
def store(database_url: str) -> Iterator[object]:
    """A migrated store on every engine."""
    from monitor.intake.consequences import open_store

    opened = open_store(database_url)
    opened.migrate()
    yield opened
    opened.close()
