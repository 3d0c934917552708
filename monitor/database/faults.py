"""What is wrong with a database, in one sentence that says what to do; drivers' errors are sorted here and nowhere else."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy.exc import DBAPIError

from monitor.database.revision import OtherSchemaError

READ_ONLY = "25006"
CONFLICT = "40001"  # on a replica: what was read stood in the way of the replay
# SQLSTATE (PostgreSQL appendix A) and words of SQLite (https://sqlite.org/rescode.html) → what cannot be done, and why
_STATES = {
    "53100": "the database cannot be written: disk is full",
    READ_ONLY: "the database cannot be written: it is read-only (a standby, or default_transaction_read_only)",
    "53300": "the database takes no more connections; raise max_connections or put pgbouncer before it",
    "28P01": "the database refuses the password of engine.url",
    "28000": "the database refuses the user of engine.url",
    "3D000": "there is no such database; create it, or correct engine.url",
    "57P03": "the database is starting up; try again",
}
_WORDS = {
    "disk is full": "the database cannot be written: disk is full",
    "readonly database": "the database cannot be written: it is read-only; check the owner of the file and its folder",
    "disk i/o error": "the database cannot be written: disk I/O error",
    "database is locked": "the database is busy: another process has been writing for half a minute",
    "file is not a database": "the file of engine.url is no SQLite database; move it away or correct engine.url",
    "unable to open database file": "the file of engine.url cannot be opened; check the folder and its owner",
    "failed to resolve host": "the host of engine.url is not known; in a password write @ / # as %40 %2F %23",
    "name or service not known": "the host of engine.url is not known; in a password write @ / # as %40 %2F %23",
    "connection refused": "the database does not answer: connection refused; is it up, and engine.url right?",
}


def sentence(error: BaseException, setting: str = "engine.url") -> str:
    """What is wrong, without any part of a URL or a statement in it. `setting` names the database."""
    return _sentence(error).replace("engine.url", setting)


def _sentence(error: BaseException) -> str:
    if isinstance(error, OtherSchemaError):
        return str(error)
    cause: Any = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    state = getattr(cause, "sqlstate", None)
    if state in _STATES:
        return _STATES[state]
    text = str(cause).strip().lower()
    for words, meaning in _WORDS.items():
        if words in text:
            return meaning
    if isinstance(cause, sqlite3.Error):
        return f"the database cannot be used: {text.splitlines()[0] if text else type(cause).__name__}"
    return "the database does not answer; is it up, and engine.url right?"


def is_conflict(error: DBAPIError) -> bool:
    """Whether a query on a replica was ended for the sake of the replay: read again, it may well get through."""
    return getattr(error.orig, "sqlstate", None) == CONFLICT


def is_of_the_database(error: BaseException | None) -> bool:
    """Whether an error is the database's and not a fault of the program."""
    return isinstance(error, DBAPIError | sqlite3.OperationalError | OtherSchemaError)
