import sqlite3

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from monitor.database.faults import sentence


@pytest.mark.parametrize(("words", "meaning"), [
    ("database or disk is full", "the database cannot be written: disk is full"),
    ("attempt to write a readonly database", "the database cannot be written: it is read-only"),
    ("file is not a database", "the file of engine.url is no SQLite database"),
    ("no such table: x", "the database cannot be used: no such table: x"),
])
def test_what_sqlite_says_becomes_what_to_do(words, meaning):
    error = DBAPIError("INSERT secret", {}, sqlite3.OperationalError(words))
    assert sentence(error).startswith(meaning)
    assert "secret" not in sentence(error)


def test_a_file_that_is_no_database_is_named_as_that(tmp_path):
    (tmp_path / "x").write_bytes(b"no database at all" * 100)
    with pytest.raises(DBAPIError) as caught, create_engine(f"sqlite:///{tmp_path / 'x'}").connect() as connection:
        connection.execute(text("SELECT * FROM sqlite_master"))
    assert "no SQLite database; move it away or correct engine.url" in sentence(caught.value)


def test_a_server_that_is_not_there_says_so_without_the_password():
    url = "postgresql+psycopg://me:opensesame@127.0.0.1:1/db"
    with pytest.raises(DBAPIError) as caught:
        create_engine(url).connect()
    assert "connection refused" in sentence(caught.value)
    assert "opensesame" not in sentence(caught.value)


def test_a_password_with_a_slash_is_explained():
    with pytest.raises(DBAPIError) as caught:
        create_engine("postgresql+psycopg://me:p@ss%2Fw@127.0.0.1.invalid/db").connect()
    assert "write @ / # as %40 %2F %23" in sentence(caught.value)
