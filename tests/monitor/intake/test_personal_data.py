"""No mail address stands in the clear outside evidence, whatever mails came in and whatever people wrote."""

import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import select

from monitor.cli import cli
from monitor.database.recipient_keys import HashKeyError, redacted
from monitor.database.tables import Suspension, Transition
from monitor.intake.consequences import open_store
from monitor.restrictions import suspensions
from tests.places import MAIL_CASES, SHARED_DATA

INVENTORY = """
customers: [{id: acme, name: Acme, streams: [news]}]
domains: [{domain: acme.example.net, customer: acme}, {domain: example.com, customer: acme}]
mailboxes:
  - {name: returns, purpose: bounces, host: imap.example.com, username: x, secret: box}
"""
ADDRESS = re.compile(r"[\w.+=-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}", re.IGNORECASE)
ROLES = re.compile(r"(?:abuse|postmaster|mailer-daemon|hostmaster|no-?reply|nobody|root|support|help)@", re.IGNORECASE)
IDS = {("trace", "message_id"), ("batch", "key")}  # a Message-ID looks like an address; only its left side may not hold one


@pytest.mark.parametrize("mails", [
    MAIL_CASES,
    pytest.param(SHARED_DATA / "mail", marks=pytest.mark.skipif(
        not (SHARED_DATA / "mail").is_dir(), reason="the third-party mails are not beside this checkout")),
], ids=["own", "open"])  # fmt: skip
def test_after_a_replay_no_address_is_left_in_the_database(tmp_path, mails):
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    database, config = tmp_path / "vigie.sqlite", tmp_path / "vigie.yaml"
    config.write_text(json.dumps({
        "engine": {"url": f"sqlite:///{database}"}, "inventory": ["inventory.yaml"], "secrets": {"box": "not-used"},
    }))
    files = [str(path) for path in sorted(mails.rglob("*")) if path.is_file()]
    command = ["mail", "replay", *files, "--source", "bounces", "--config", str(config)]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0, result.output

    texts = list(every_text(database))
    assert sum(table == "trace" for table, *_ in texts) > 20
    assert [each for each in texts if in_clear(*each)] == []


def in_clear(table: str, column: str, value: str) -> bool:
    if (table, column) in IDS:
        value = value.rpartition("@")[0]
    return any(not ROLES.match(each) for each in ADDRESS.findall(value))


def every_text(database: Path):
    """(table, column, text) of everything but bodies, which are evidence."""
    with sqlite3.connect(database) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            cursor = connection.execute(f'SELECT * FROM "{table}"')
            names = [each[0] for each in cursor.description]
            for row in cursor:
                yield from ((table, name, value) for name, value in zip(names, row, strict=True) if isinstance(value, str))


@pytest.mark.parametrize(("written", "kept"), [
    ("550 5.1.1 <ann@gmail.com>: no such user", "550 5.1.1 <H(ann@gmail.com)>: no such user"),
    ("ann@example.org, Bob.B+x@sub.example.co.uk", "H(ann@example.org), H(bob.b+x@sub.example.co.uk)"),
    ("returned to bounce+ann=example.org@out.example.net", "returned to H(bounce+ann=example.org@out.example.net)"),
    ('RCPT TO:<"ann b"@example.org>', 'RCPT TO:<H("ann b"@example.org)>'),
    ("see http://example.org/?r=ann%40example.org", "see http://example.org/?H(r=ann@example.org)"),
    ("jörg@münchen.example gone", "H(jörg@münchen.example) gone"),
    ("ask postmaster@gmail.com", "ask postmaster@gmail.com"),
    ('<" .@ x"@example.org> and\tann@example.org\n', '<H(" .@ x"@example.org)> and\tH(ann@example.org)\n'),
    ("status=5.1.1 dsn=5.0.0, user@localhost", "status=5.1.1 dsn=5.0.0, user@localhost"),
])  # fmt: skip
def test_an_address_in_a_text_is_replaced_and_nothing_else_is(written, kept):
    assert redacted(written, lambda address: f"H({address.lower()})"[:18].ljust(16)) == re.sub(
        r"H\([^()]*\)", lambda form: f"recipient:{form[0][:16].ljust(16)}", kept)


WORDS = st.text("a1.+=-<>@'%4 0/\t", max_size=9) | st.sampled_from(["ann@example.org", "<b+c@x.io>:", "=d@e.example", "%40x.io"])


@given(st.lists(WORDS, max_size=6))
def test_what_stands_around_an_address_changes_nothing_of_it(words):
    assert redacted(" ".join(words), str.upper) == " ".join(redacted(word, str.upper) for word in words)


def test_an_operators_words_keep_no_address(store):
    with store.session() as session:
        suspensions.hold(session, scope={"customer": "acme"}, effect="hold", actor="dana",
                         reason="ann@example.org called", now=datetime(2026, 1, 2, tzinfo=UTC))
    with store.reading_session() as session:
        texts = [*session.exec(select(Suspension.text)), *session.exec(select(Transition.why))]
    assert texts == [f"recipient:{store.recipient_hash('ann@example.org')[:16]} called"] * 2


def test_a_configured_key_is_not_kept_beside_the_hashes_and_another_is_refused(database_url):
    with_own = open_store(database_url)
    with_own.migrate()
    own = with_own.recipient_hash("ann@example.org")
    with_own.close()

    other = open_store(database_url, b"another key of 16")
    with pytest.raises(HashKeyError, match="hashed with another key"):
        other.migrate()
    other.close()

    with closing(open_store(database_url)) as opened, opened.reading_session() as session:
        key = bytes.fromhex(session.execute(text("SELECT value FROM setting WHERE name = 'recipient_hash_key'")).scalar_one())
    given = open_store(database_url, key)
    given.migrate()
    assert given.recipient_hash("ann@example.org") == own
    with given.reading_session() as session:
        assert key.hex() not in [row[0] for row in session.execute(text("SELECT value FROM setting"))]
    given.close()
    without = open_store(database_url)
    with pytest.raises(HashKeyError, match="give the same hash_key again"):
        without.migrate()
    without.close()
