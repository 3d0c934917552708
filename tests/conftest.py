"""What every test can count on: real servers by name, and one store per engine."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.places import ROOT

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# what takes longest is begun first, so that at the end no worker runs on alone
LONGEST = (
    "end_to_end/test_crashes.py", "end_to_end/test_demo.py", "monitor/database/test_first_release.py", "end_to_end/test_failover.py",
    "end_to_end/test_own_health.py", "end_to_end/test_the_way.py", "end_to_end/test_console_in_a_browser.py", "monitor/facts/test_crash.py",
)
REQUIRE_REAL = os.environ.get("VIGIE_REQUIRE_REAL") == "1"
# server → the program that must be on this machine
PROGRAMS = {"rbldnsd": "rbldnsd", "dovecot": "dovecot", "chromium": "chromium", "dnsperf": "dnsperf", "pgbouncer": "pgbouncer", "amtool": "amtool", "promtool": "promtool",
            "docker-compose": "docker-compose", "systemd-analyze": "systemd-analyze"}


def _has(server: str) -> bool:
    if server == "haraka":
        from tests.servers.haraka import INSTALLED

        return shutil.which("node") is not None and INSTALLED.exists()
    if server == "postgres":
        return bool(shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb")))
    if server == "grafana-client":
        return (ROOT / ".venv" / "grafana" / "bin" / "python").exists()  # make grafana
    if server == "tsc":
        return (ROOT / "tests" / "dashboards" / "node" / "node_modules" / ".bin" / "tsc").exists()  # npm ci there
    if server == "postfix":
        from tests.servers.postfix import root

        return root() is not None
    return shutil.which(PROGRAMS[server]) is not None or Path("/usr/sbin", PROGRAMS[server]).exists()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {str(Path(__file__).parent / name): rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(str(item.path), len(LONGEST)))


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


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with the whole schema, to be copied: migrating one takes as long as most tests."""
    from monitor.intake.consequences import open_store

    path = tmp_path_factory.mktemp("template") / "vigie.sqlite"
    with closing(open_store(f"sqlite:///{path}")) as store:
        store.migrate()
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.real("postgres"))])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a fresh database with the whole schema, once per engine."""
    if request.param == "sqlite":
        path = shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "vigie.sqlite")
        return f"sqlite:///{path}"
    return request.getfixturevalue("postgres_cluster").fresh_database()


@pytest.fixture
def store(database_url: str) -> Iterator[object]:
    """A migrated store on every engine."""
    from monitor.intake.consequences import open_store

    with closing(open_store(database_url)) as opened:
        yield opened
