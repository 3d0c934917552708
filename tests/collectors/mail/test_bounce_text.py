"""Bounces in words: recipients are found in every system's own way, and nothing else is taken for a bounce."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from collectors.mail.bounce_text import Failure, read
from collectors.replies.judgement import judge

DAEMON = {"from": "Mail Delivery Subsystem <MAILER-DAEMON@mx.example.net>", "to": "bounce@acme.example.com"}
RETURNED = """Return-Path: <bounce@acme.example.com>
Received: from out1.example.com
To: Somebody <other@example.org>
"""
HERE = Path(__file__).parent
CASES = yaml.safe_load((HERE / "bounces.yaml").read_text(encoding="utf-8"))
NOT_BOUNCES = yaml.safe_load((HERE / "not_bounces.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", CASES)
def test_the_recipients_of_each_mail_system_are_found(name: str) -> None:
    case = CASES[name]
    headers = {**DAEMON, **{name: case[name] for name in ("from", "subject") if name in case}}
    recipients = read(headers, [case["text"].replace("%RETURNED%", RETURNED)])
    fields = {
        recipient.address: [recipient.reply_code, judge(recipient.status, recipient.reply_code, recipient.diagnostic).category]
        for recipient in recipients
    }
    assert fields == case["expected"]


def test_exim_names_its_failures_in_a_header() -> None:
    failed = {"x-failed-recipients": "anna@example.net, ben@example.org"}
    text = "The following address(es) failed:\n\n  anna@example.net\n    550 5.1.1 unknown user\n"
    anna, ben = read({**DAEMON, "subject": "Mail delivery failed", **failed}, [text])
    assert anna == Failure("anna@example.net", "5.1.1", "550", "550 5.1.1 unknown user")
    assert ben.address == "ben@example.org"


def test_addresses_of_the_returned_mail_are_never_taken() -> None:
    case = CASES["qmail"]
    returned = RETURNED + "\nBuy from sales@acme.example.com\n"
    recipients = read({**DAEMON, "subject": case["subject"]}, [case["text"], returned])
    assert {recipient.address for recipient in recipients} == set(case["expected"])


def test_the_sender_and_the_postmaster_are_not_recipients() -> None:
    text = """Your message could not be delivered to the following recipients:

 anna@example.net

Questions? Contact postmaster@mx.example.net or help@mx.example.net.
It was sent by bounce@acme.example.com.
"""
    recipients = read({**DAEMON, "subject": "Undeliverable"}, [text])
    assert [recipient.address for recipient in recipients] == ["anna@example.net"]


def test_many_recipients_are_all_found_in_order() -> None:
    names = [f"u{number}@example.net" for number in range(300)]
    rows = "".join(f"<{name}>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n" for name in names)
    text = "I wasn't able to deliver your message to the following addresses.\n\n" + rows
    recipients = read({**DAEMON, "subject": "failure notice"}, [text])
    assert [recipient.address for recipient in recipients] == names


@pytest.mark.parametrize("name", NOT_BOUNCES)
def test_what_is_no_bounce_yields_nothing(name: str) -> None:
    case = NOT_BOUNCES[name]
    assert read(case["headers"], [case["text"]]) == ()


def test_no_text_at_all_yields_nothing() -> None:
    assert read({**DAEMON, "subject": "failure notice"}, []) == ()


HOSTILE = [
    "a@b." * 60_000,
    "<" * 200_000,
    "following recipients failed:\n" + "x@y.zz\n" * 30_000,
    "\n" * 300_000,
    "- " * 100_000,
    "could not be delivered to " * 10_000,
    "Original message " * 10_000,
    "a" * 64 + "@" + "b." * 100_000,
    " \t" * 100_000,
    "<a@example.net>:\n" * 20_000,
    ("user unknown x@example.net " * 40 + "\n") * 500,
    "-" * 200_000,
    "\u3042" * 200_000,
    ("the following address " + "word " * 150 + "\n") * 300,
]


@pytest.mark.parametrize("text", HOSTILE, ids=[text[:20].strip() or "blanks" for text in HOSTILE])
def test_hostile_text_is_read_in_bounded_time(text: str) -> None:
    failures = read({**DAEMON, "subject": "failure notice " + text[:10_000]}, [text, text])
    assert all("@" in failure.address for failure in failures)
