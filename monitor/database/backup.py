"""The whole database as one file, consistent while everything goes on; and back.

SQLite is copied by its own `VACUUM INTO` within a snapshot (a plain copy of the file would lack what is still in the log
beside it). PostgreSQL is read by `pg_dump` in its custom format, and written by `pg_restore`; both must be installed.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import make_url

from monitor.config.addresses import plain_address
from monitor.database.engine import Engines

_TABLES = text("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()")
_DROP = """\
DO $$ DECLARE name regclass; BEGIN
  FOR name IN SELECT oid FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition
    AND relnamespace = current_schema()::regnamespace LOOP EXECUTE format('DROP TABLE %s CASCADE', name); END LOOP;
END $$"""


class BackupError(Exception):
    """What was asked cannot be done; the message says why."""


def backup(engines: Engines, address: str, file: Path) -> int:
    """Write a backup; returns its bytes. Raises BackupError; a file that exists is left alone."""
    if file.exists():
        raise BackupError(f"{file} exists")
    part = file.with_name(f"{file.name}.part")
    try:
        part.unlink(missing_ok=True)
        if engines.dialect == "sqlite":
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            with closing(sqlite3.connect(str(make_url(address).database), isolation_level=None)) as source:
                source.execute("VACUUM INTO ?", (str(part),))
        else:
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            _run(address, "pg_dump", "--format=custom", "--no-owner", f"--file={part}")
        part.replace(file)  # a backup is whole or not there
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"{file} cannot be written: {error}") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return file.stat().st_size


def restore(engines: Engines, address: str, file: Path, *, force: bool) -> None:
    """Make the database what the backup says. Nothing else may use it meanwhile. Raises BackupError."""
    if not file.is_file():
        raise BackupError(f"{file}: there is no such file")
    if not force and not _empty(engines, address):
        raise BackupError("the database is not empty; --force replaces everything in it")
    engines.dispose()
    if engines.dialect == "sqlite":
        _restore_sqlite(Path(str(make_url(address).database)), file)
    else:
        _restore_postgresql(address, file)


def _empty(engines: Engines, address: str) -> bool:
    if engines.dialect == "sqlite":
        path = Path(str(make_url(address).database))
        return not path.exists() or path.stat().st_size == 0
    with engines.reading() as connection:
        return bool(connection.execute(_TABLES).scalar_one() == 0)


def _restore_sqlite(path: Path, file: Path) -> None:
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as source:
            if source.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                raise BackupError(f"{file} is damaged")
    except sqlite3.DatabaseError as error:
        raise BackupError(f"{file} is no backup of a SQLite database: {error}") from None
    part = path.with_name(f"{path.name}.part")
    with suppress(FileNotFoundError):
        part.unlink()
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    shutil.copyfile(file, part)
    for beside in ("-wal", "-shm"):  # of the database that was: its log must not be read into the new one
        path.with_name(f"{path.name}{beside}").unlink(missing_ok=True)
    part.replace(path)


def _restore_postgresql(address: str, file: Path) -> None:
    """Everything out and everything in, in one transaction: what fails half-way changes nothing."""
    with tempfile.TemporaryDirectory(prefix="vigie-restore-") as folder:  # its owner's alone
        script = Path(folder) / "restore.sql"  # whole before the database is touched: psql would commit half of one
        _run(address, "pg_restore", "--no-owner", f"--file={script}", str(file), database=False)
        _run(address, "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction",
             f"--command={_DROP}", f"--file={script}")  # fmt: skip


def _run(address: str, program: str, *arguments: str, database: bool = True) -> None:
    path = program_path(program)
    if path is None:
        raise BackupError(f"{program} is not installed (Debian: postgresql-client)")
    url = make_url(plain_address(address)).set(drivername="postgresql")
    # the password goes by the environment: everybody of the machine can read a command line
    environment = os.environ | ({"PGPASSWORD": str(url.password)} if url.password else {})
    named = [f"--dbname={url.set(password=None).render_as_string(hide_password=False)}"] if database else []
    command = [path, *named, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)  # noqa: S603 - our own arguments
    if done.returncode:
        raise BackupError(f"{program}: {done.stderr.strip()}")


def program_path(name: str) -> str | None:
    """From PATH or Debian's folders, the newest version first."""
    if path := shutil.which(name):
        return path
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    return str(versions[-1]) if versions else None
