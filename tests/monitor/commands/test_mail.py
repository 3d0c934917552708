"""`vigie mail parse`: one row per file, in order, whatever the files hold."""

import json
from pathlib import Path

from click.testing import CliRunner

from monitor.commands.mail import mail
from tests.places import MAIL_CASES

COMPLAINT = str(MAIL_CASES / "arf-as-in-rfc5965" / "message.eml")
BOUNCE = str(MAIL_CASES / "dsn-two-recipients-xtext" / "message.eml")
EMPTY = str(MAIL_CASES / "unreadable-empty" / "message.eml")


def test_each_file_is_one_json_row_in_order_and_an_unreadable_one_is_no_failure() -> None:
    done = CliRunner().invoke(mail, ["parse", "--json", EMPTY, BOUNCE, COMPLAINT])
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 0
    assert [row["file"] for row in rows] == [EMPTY, BOUNCE, COMPLAINT]
    assert [row["kind"] for row in rows] == ["unreadable", "dsn", "arf"]
    assert rows[0]["error"] == "empty"
    assert set(rows[1]) == {"file", "kind", "error", "recipients"}
    assert set(rows[2]) == {"file", "kind", "error", "feedback"}


def test_standard_input_is_a_file_too() -> None:
    done = CliRunner().invoke(mail, ["parse", "--json", "-"], input=Path(BOUNCE).read_bytes())
    assert json.loads(done.stdout)["kind"] == "dsn"


def test_a_person_is_answered_in_words() -> None:
    dmarc = str(MAIL_CASES / "dmarc-gzip-attached" / "message.eml")
    done = CliRunner().invoke(mail, ["parse", COMPLAINT, BOUNCE, dmarc])
    assert "arf: abuse from pat@provider.example.org, sent from 192.0.2.33" in done.stdout
    assert "pat+news@provider.example.org failed, invalid_recipient (hard): 550 5.1.1" in done.stdout
    assert "Provider Inc. on acme.example.net, 2026-07-13 to 2026-07-13: 120 passed, 3 failed" in done.stdout


def test_a_missing_file_is_bad_usage_and_nothing_is_printed() -> None:
    done = CliRunner().invoke(mail, ["parse", "--json", COMPLAINT, str(MAIL_CASES / "no-such-file")])
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "no-such-file" in done.stderr
