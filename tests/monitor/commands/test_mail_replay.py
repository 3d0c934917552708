"""`vigie mail replay` and `vigie mail parked` against real databases."""

import json
import mailbox
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlmodel import func, select

from monitor.cli import cli
from monitor.database.bodies import packed
from monitor.database.tables import Incident, ParkedRow, Reading, Series, TraceRow
from monitor.intake.consequences import open_store
from tests.places import MAIL_CASES
from tests.waiting import eventually

INVENTORY = """
customers: [{id: acme, name: Acme, streams: [news]}]
domains: [{domain: acme.example.net, customer: acme}]
mailboxes:
  - {name: returns, purpose: bounces, host: imap.example.com, username: x, secret: box}
"""


@pytest.fixture
def config(tmp_path, database_url) -> Path:
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    path = tmp_path / "vigie.yaml"
    path.write_text(json.dumps({"engine": {"url": database_url}, "inventory": ["inventory.yaml"],
                                "collectors": {"feedback_loop": {"trusted_mailboxes": ["feedback_loop"]}},
                                "secrets": {"box": "not-used"}}))
    return path


@pytest.fixture
def vigie(config):
    def call(*arguments, code=0):
        result = CliRunner(env={"VIGIE_CONFIG": str(config)}).invoke(cli, [str(each) for each in arguments])
        assert result.exit_code == code, result.output
        return result

    return call


def case(name: str) -> bytes:
    (message,) = (MAIL_CASES / name).glob("message.*")
    return message.read_bytes()


def bounce(number: int) -> bytes:
    return case("bounce-qmail").replace(b"<q1@", f"<q{number}@".encode())


NAMELESS = b"Date: Tue, 14 Jul 2026 08:00:12 +0000\n" + case("bounce-that-names-nobody")


def rows(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def counted(url: str, measure: str) -> float:
    store = open_store(url)
    query = select(func.sum(Reading.value)).join(Series, Series.id == Reading.series_id)
    try:
        with store.reading_session() as session:
            return session.exec(query.where(Series.measure == measure, Series.customer == "acme")).one() or 0
    finally:
        store.close()


@pytest.fixture
def archive(tmp_path) -> Path:
    """A Maildir with a folder below it, an mbox, and files, all holding some of the same mails."""
    folder = tmp_path / "archive"
    for name in ("Maildir/new", "Maildir/cur", "Maildir/tmp", "Maildir/.Old/new", "Maildir/.Old/cur", "files"):
        (folder / name).mkdir(parents=True)
    (folder / "Maildir/new/1.mx").write_bytes(bounce(1))
    (folder / "Maildir/cur/2.mx:2,S").write_bytes(bounce(2))
    (folder / "Maildir/tmp/3.mx").write_bytes(bounce(3))
    (folder / "Maildir/.Old/cur/4.mx:2,").write_bytes(bounce(4))
    (folder / "Maildir/dovecot-uidlist").write_bytes(b"3 V1 N5\n")
    box = mailbox.mbox(folder / "mbox")
    for number in (1, 5):
        box.add(mailbox.mboxMessage(bounce(number)))
    box.close()
    (folder / "files/report.gz").write_bytes(case("dmarc-gzip-attached"))
    (folder / "files/letter.eml").write_bytes(case("abuse-letter-is-other"))
    return folder


def test_an_archive_is_counted_by_kind_and_a_second_time_changes_nothing(vigie, archive, database_url):
    first = vigie("mail", "replay", archive, "--source", "bounces", "--json")
    again = vigie("mail", "replay", archive, "--json")

    assert rows(first) == [
        {"kind": "bounce", "mails": 5, "repeated": 1, "parked": 0},
        {"kind": "dmarc_aggregate", "mails": 1, "repeated": 0, "parked": 0},
        {"kind": "other", "mails": 1, "repeated": 0, "parked": 1},
    ]
    assert "7 mails" in first.stderr
    assert {row["kind"]: row["repeated"] for row in rows(again)} == {"bounce": 5, "dmarc_aggregate": 1, "other": 1}
    assert (counted(database_url, "hard_bounce"), counted(database_url, "dmarc_fail")) == (4, 3)


def test_a_file_that_is_no_mail_and_one_that_cannot_be_opened_do_not_stop_the_rest(vigie, tmp_path, database_url):
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "a").write_bytes(b"\0\xff" * 100)
    (folder / "b").write_bytes(bounce(1))
    (folder / "loop").symlink_to(folder)
    output = vigie("mail", "replay", folder)
    assert "bounce           1 mails, 0 repeated, 0 parked" in output.stdout
    assert "unreadable       1 mails, 0 repeated, 1 parked" in output.stdout
    link = tmp_path / "link"
    link.symlink_to(folder / "b")
    assert "a symbolic link" in vigie("mail", "replay", link, code=1).stderr
    assert counted(database_url, "hard_bounce") == 1


def test_a_source_nobody_knows_is_refused_with_what_was_perhaps_meant(vigie, archive):
    assert "did you mean 'returns'?" in vigie("mail", "replay", archive, "--source", "return", code=2).stderr
    vigie("mail", "replay", archive / "nowhere", code=2)


MANY = 600


def traced(store) -> int:
    with store.reading_session() as session:
        return session.exec(select(func.count()).select_from(TraceRow)).one()


def test_a_replay_killed_at_any_moment_and_repeated_counts_everything_once(config, tmp_path, database_url, vigie):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(MANY):
        (folder / f"{number}.eml").write_bytes(bounce(number))
    vigie("db", "migrate")
    command = [sys.executable, "-m", "monitor", "mail", "replay", str(folder), "--config", str(config)]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    store = open_store(database_url)
    try:
        eventually(lambda: traced(store) or killed.poll() is not None, every=0.01)
    finally:
        killed.kill()
        killed.wait()
        store.close()

    (row,) = rows(vigie("mail", "replay", folder, "--json"))

    assert row["mails"] == MANY
    assert row["repeated"] > 0
    assert counted(database_url, "hard_bounce") == MANY


def test_what_a_replay_brings_to_light_is_judged_without_a_service_running(vigie, tmp_path, store):
    sent = datetime.now(UTC) - timedelta(hours=2)
    events = tmp_path / "events.ndjson"
    events.write_text(json.dumps({"at": sent.isoformat(), "outcome": "delivered", "customer": "acme", "stream": "news",
                                  "domain": "acme.example.net", "recipient_domain": "gmail.com", "count": 5_000}))
    vigie("events", "ingest", "--format", "generic", events)
    box = mailbox.mbox(tmp_path / "complaints")
    for number in range(200):
        report = case("arf-as-in-rfc5965").replace(b"<r-1@", b"<r-%d@" % number)
        report = report.replace(b"pat@provider.example.org", b"pat%d@gmail.com" % number)
        for dated in (b"Tue, 14 Jul 2026 09:00:02 +0000", b"Tue, 14 Jul 2026 10:00:07 +0200"):
            report = report.replace(dated, format_datetime(sent).encode())
        box.add(mailbox.mboxMessage(report))
    box.close()

    vigie("mail", "replay", tmp_path / "complaints")

    with store.reading_session() as session:
        fired = [incident for incident in session.exec(select(Incident)) if incident.rule == "complaint-mailing"]
    stream = {"customer": "acme", "stream": "news", "provider": "gmail"}
    assert [(incident.subject, incident.summary[:42]) for incident in fired] == [(stream, "complaint rate 4.00 % (200 of 5,000) since")]


@pytest.fixture
def parked(vigie, tmp_path) -> list[dict]:
    """Three parked mails: one that names nobody, a letter, and one that was too large."""
    folder = tmp_path / "parked"
    folder.mkdir()
    (folder / "1.eml").write_bytes(NAMELESS)
    (folder / "2.eml").write_bytes(case("abuse-letter-is-other").replace(b"Subject: ", b"Subject: \x1b[31m"))
    (folder / "3.eml").write_bytes(bounce(1) + b"x" * 25_000_001)
    vigie("mail", "replay", folder, "--source", "returns")
    return rows(vigie("mail", "parked", "list", "--json"))


def test_parked_mails_are_listed_with_place_and_reason_and_shown_without_their_control_characters(vigie, parked):
    size = len(bounce(1)) + 25_000_001
    assert [(row["reason"], row["text"].split(":")[0]) for row in parked] == [
        ("no_data", "bounce"), ("no_data", "other"), ("too_large", f"{size} bytes; only the beginning is kept")]
    assert parked[0]["place"].startswith("returns/")
    assert parked[0]["received_at"].startswith("2026-07-14T08:00:12")
    letter = vigie("mail", "parked", "show", parked[1]["id"]).stdout
    assert "other: no report, bounce or request" in letter
    assert "\x1b" not in letter
    raw = vigie("mail", "parked", "show", parked[0]["id"], "--raw").stdout_bytes
    assert raw == NAMELESS
    assert "no parked mail 999" in vigie("mail", "parked", "show", 999, code=2).stderr
    assert len(rows(vigie("mail", "parked", "list", "--reason", "too_large", "--json"))) == 1


def test_what_is_still_not_understood_stays_parked(vigie, parked):
    became = rows(vigie("mail", "parked", "retry", "--all", "--json", code=1))
    assert [row["became"] for row in became] == [
        "parked: bounce: it names no recipient", "parked: other: no report, bounce or request",
        "parked: only its beginning was kept"]
    assert len(rows(vigie("mail", "parked", "list", "--json"))) == 3


def test_what_is_understood_today_is_counted_once_and_settled(vigie, parked, store):
    with store.session() as session:  # as if the parsers had not understood it when it came
        row = session.get(ParkedRow, parked[0]["id"])
        row.body, row.size = packed(bounce(77)), len(bounce(77))
        session.add(row)

    assert vigie("mail", "parked", "retry", row.id).stdout == f"{row.id}: bounce\n"
    assert vigie("mail", "parked", "retry", row.id).stdout == f"{row.id}: settled before\n"

    with store.reading_session() as session:
        traces = session.exec(select(TraceRow)).all()
        settled = session.get(ParkedRow, row.id)
    assert [(trace.customer, trace.at.isoformat()) for trace in traces] == [("acme", "2026-07-14T08:00:12+00:00")]
    assert settled.settled_at is not None
    assert settled.settled_why == "read again: bounce"
    assert [row["id"] for row in rows(vigie("mail", "parked", "list", "--json"))] == [2, 3]
    assert [row["id"] for row in rows(vigie("mail", "parked", "list", "--settled", "--json"))] == [1, 2, 3]


def test_a_letter_is_taken_up_as_mail_of_another_source(vigie, parked):
    assert "other" in vigie("mail", "parked", "retry", parked[1]["id"], "--source", "abuse").stdout
    assert "--source" in vigie("mail", "parked", "retry", parked[0]["id"], "--source", "nope", code=1).stdout


def test_parked_mails_are_settled_with_a_reason(vigie, parked):
    vigie("mail", "parked", "settle", parked[0]["id"], code=2)
    assert "a reason is needed" in vigie("mail", "parked", "settle", 1, "--reason", " ", code=2).stderr
    assert vigie("mail", "parked", "settle", 1, 2, "--reason", "advertising").stdout == "2 settled\n"
    assert vigie("mail", "parked", "settle", 1, "--reason", "again", code=1).stdout == "0 settled\n"
    assert "advertising" in vigie("mail", "parked", "list", "--settled").stdout
    vigie("mail", "parked", "retry", code=2)
