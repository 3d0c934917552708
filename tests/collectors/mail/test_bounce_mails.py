"""Whole bounces, as `parse` reads them: who failed, with which codes and why, whether for good."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from collectors.mail import parse

CASES = yaml.safe_load(Path(__file__).with_name("bounce_mails.yaml").read_text(encoding="utf-8"))
USUAL = {
    "From": "Mail Delivery System <MAILER-DAEMON@mx.sender.example>",
    "To": "bounce@customer.example",
    "Date": "Tue, 10 Mar 2026 09:00:00 +0000",
    "Message-ID": "<b1@mx.sender.example>",
}


def written(text: str) -> bytes:
    """The mail with the fields every mail has."""
    header = text.partition("\n\n")[0].lower()
    missing = "".join(
        f"{name}: {value}\n" for name, value in USUAL.items() if f"\n{name.lower()}:" not in f"\n{header}"
    )
    return (missing + text).encode()


@pytest.mark.parametrize("name", CASES)
def test_a_bounce_is_read_as_its_system_means_it(name: str) -> None:
    case = CASES[name]
    report = parse(written(case["mail"]))
    read = {
        recipient.address: [
            recipient.judgement.reply_code,
            recipient.judgement.category,
            recipient.hard,
            recipient.judgement.status,
            recipient.action,
        ]
        for recipient in report.recipients
    }
    assert report.kind == case.get("kind", "bounce")
    assert read == case["expected"]


def _status_fields(count: int) -> str:
    return "\n".join(
        f"Final-Recipient: rfc822; u{number}@rcpt.example\nAction: failed\nStatus: 5.1.1\n"
        for number in range(count)
    )


def _notification(fields: str) -> bytes:
    return written(
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
        f"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.sender.example\n\n{fields}\n--b--\n"
    )


def test_a_notification_about_thousands_names_them_all() -> None:
    report = parse(_notification(_status_fields(3_000)))
    assert len(report.recipients) == 3_000
    assert "remarks" not in report.to_json()


def test_recipients_beyond_the_bound_are_not_dropped_without_a_word() -> None:
    report = parse(_notification(_status_fields(20_001)))
    assert len(report.recipients) == 20_000
    assert report.to_json()["remarks"] == ["only the first 20000 recipients were read"]


def test_thousands_of_recipients_in_words_are_named_or_remarked_upon() -> None:
    for count, most in ((2_000, 2_000), (6_000, 5_000)):
        rows = "".join(f"<u{number}@r.example>:\n550 no such user\n" for number in range(count))
        report = parse(written(f"Subject: failure notice\n\nThese failed permanently.\n\n{rows}"))
        assert len(report.recipients) <= most
        assert bool(report.remarks) == (len(report.recipients) < count)


def test_a_status_is_worked_out_from_words_where_nobody_states_one() -> None:
    words = "Subject: failure notice\n\n<ann@rcpt.example>:\nThe user's mailbox is full.\n{}\n"
    (failed,) = parse(written(words.format("I've given up."))).to_json()["recipients"]
    (delayed,) = parse(written(words.format("I am still trying to deliver it."))).to_json()["recipients"]
    assert (failed["status"], failed["judged_status"]) == (None, "5.2.2")
    assert (delayed["status"], delayed["judged_status"]) == (None, "4.2.2")


def test_status_is_as_stated_and_judged_status_the_better_code() -> None:
    fields = "Final-Recipient: rfc822; u@rcpt.example\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 5.1.1 no"
    (row,) = parse(_notification(fields)).to_json()["recipients"]
    assert (row["status"], row["judged_status"], row["reply_code"]) == ("5.0.0", "5.1.1", "550")
