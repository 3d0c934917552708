"""A private PostgreSQL for tests: a cluster of its own in a temporary folder, on loopback and a free port.

PostgreSQL refuses to run as root; started by root it runs as `postgres` or `nobody`. Nothing is synced to
disk (fsync off): the data is worth nothing once the tests are done.
"""

from __future__ import annotations

import atexit
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from monitor.intake.consequences import open_store
from tests.waiting import PATIENCE_SECONDS, free_port

_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "50",
    "max_locks_per_transaction": "256",
    "autovacuum": "off",
}


def binary(name: str) -> Path | None:
    """A program of PostgreSQL from PATH or Debian's folders, the newest version first."""
    path = shutil.which(name)
    if path:
        return Path(path)
    versions = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    return max(versions, key=lambda path: float(path.parts[-3]), default=None)


class Cluster:
    """Cluster().start(), then fresh_database() as often as needed, then stop()."""

    def __init__(self, **settings: str) -> None:
        self._settings = {**_SETTINGS, **settings}
        self._folder = Path(tempfile.mkdtemp(prefix="vigie-pg-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._template: str | None = None
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            owner = _unprivileged()
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
            self._as = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}

    def start(self) -> Cluster:
        """Raises FileNotFoundError without PostgreSQL on this machine, RuntimeError if it does not come up."""
        initdb, postgres = binary("initdb"), binary("postgres")
        if initdb is None or postgres is None:
            raise FileNotFoundError("initdb and postgres: neither on PATH nor under /usr/lib/postgresql")
        data = self._folder / "data"
        self._run([initdb, "-D", data, "-U", "vigie", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"])
        self.port = free_port()
        return self.launch()

    def standby(self, **settings: str) -> Cluster:
        """A streaming replica of this one, made with pg_basebackup and started."""
        other = Cluster(**settings)
        program = binary("pg_basebackup") or "pg_basebackup"
        other._run([program, "-D", other._folder / "data", "-d", self.url("postgres"), "--write-recovery-conf",
                    "--checkpoint=fast", "--no-sync"])  # fmt: skip
        other.port = free_port()
        return other.launch()

    def launch(self) -> Cluster:
        """Start the server on its files and its port; again after `kill`."""
        settings = {**self._settings, "port": str(self.port), "listen_addresses": "127.0.0.1"}
        settings["unix_socket_directories"] = str(self._folder)
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [binary("postgres") or "postgres", "-D", self._folder / "data", *options], stdout=log, stderr=log,
                cwd=self._folder, **self._as,
            )
        atexit.register(self.stop)
        self._wait()
        return self

    def execute(self, statement: str, database: str = "postgres") -> Any:
        """The first value of what a statement answers, if it does."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
        return row and row[0]

    def has_all_of(self, primary: Cluster) -> bool:
        """Whether this standby has replayed all that its primary wrote."""
        place = primary.execute("SELECT pg_current_wal_insert_lsn()")
        return bool(self.execute(f"SELECT pg_last_wal_replay_lsn() >= '{place}'"))

    def kill(self) -> None:
        """End the server as a crash would; its files stay."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(PATIENCE_SECONDS)

    @property
    def pid(self) -> int:
        """Of the server whose children serve the connections."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str) -> str:
        return f"postgresql://vigie@127.0.0.1:{self.port}/{database}"

    def fresh_database(self, *, migrated: bool = True) -> str:
        """The URL of a new database: with the whole schema (a copy of one migrated once), or empty."""
        if not migrated:
            return self._create("template0")
        if self._template is None:
            url = self._create("template0")
            with closing(open_store(url)) as store:
                store.migrate()
            self._template = url.rpartition("/")[2]
        return self._create(self._template)

    def _create(self, template: str) -> str:
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        return self.url(name)

    def stop(self) -> None:
        """Safe to call twice; also called when Python ends."""
        self.kill()  # at once: nobody reads these files again
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait(self) -> None:
        ready = binary("pg_isready") or "pg_isready"
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            if self._process is None or self._process.poll() is not None:
                break
            answer = subprocess.run([ready, "-q", "-t", "1", "-h", "127.0.0.1", "-p", str(self.port)], check=False)
            if answer.returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError((self._folder / "log").read_text())

    def _run(self, command: list[Any]) -> None:
        done = subprocess.run(command, check=False, capture_output=True, cwd=self._folder, **self._as)
        if done.returncode:
            raise RuntimeError(done.stderr.decode())


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("run by root, and there is no user postgres or nobody to run PostgreSQL as")
