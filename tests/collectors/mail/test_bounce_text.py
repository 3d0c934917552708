"""Bounces in words: the recipients are found in every system's own way, and nothing else is taken for a bounce."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from collectors.mail.bounce_text import Failure, read
from collectors.mail.judgement import judge

DAEMON = {"from": "Mail Delivery Subsystem <MAILER-DAEMON@mx.example.net>", "to": "bounce@acme.example.com"}
RETURNED = "Return-Path: <bounce@acme.example.com>\nReceived: from out1.example.com\nTo: Somebody <other@example.org>\n"

CASES = yaml.safe_load(Path(__file__).with_name("bounces.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", CASES)
def test_the_recipients_of_each_mail_system_are_found(name: str) -> None:
    case = CASES[name]
    found = read({**DAEMON, "subject": case["subject"]}, [case["text"].replace("%RETURNED%", RETURNED)])
    told = {one.address: [one.reply_code, judge(one.status, one.reply_code, one.diagnostic).category] for one in found}
    assert told == case["expected"]


def test_exim_names_its_failures_in_a_header() -> None:
    headers = {**DAEMON, "subject": "Mail delivery failed", "x-failed-recipients": "anna@example.net, ben@example.org"}
    text = "The following address(es) failed:\n\n  anna@example.net\n    550 5.1.1 unknown user\n"
    anna, ben = read(headers, [text])
    assert anna == Failure("anna@example.net", "5.1.1", "550", "550 5.1.1 unknown user")
    assert ben.address == "ben@example.org"


def test_addresses_of_the_returned_mail_are_never_taken() -> None:
    case = CASES["qmail"]
    found = read({**DAEMON, "subject": case["subject"]}, [case["text"], RETURNED + "\nBuy from sales@acme.example.com\n"])
    assert "other@example.org" not in {one.address for one in found}
    assert "sales@acme.example.com" not in {one.address for one in found}


def test_the_sender_and_the_postmaster_are_not_recipients() -> None:
    text = ("Your message could not be delivered to the following recipients:\n\n anna@example.net\n\n"
            "Questions? Contact postmaster@mx.example.net or help@mx.example.net. It was sent by bounce@acme.example.com.\n")
    assert [one.address for one in read({**DAEMON, "subject": "Undeliverable"}, [text])] == ["anna@example.net"]


def test_many_recipients_are_all_found_in_order() -> None:
    rows = "".join(f"<u{n}@example.net>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n" for n in range(300))
    text = "I wasn't able to deliver your message to the following addresses.\n\n" + rows
    found = read({**DAEMON, "subject": "failure notice"}, [text])
    assert [one.address for one in found] == [f"u{n}@example.net" for n in range(300)]


NOT_BOUNCES = {
    "out of office": ({"from": "Anna <anna@example.net>", "subject": "Automatic reply: February offers",
                       "auto-submitted": "auto-replied"}, "I am away until Monday. Write to ben@example.net, mail to me is not delivered."),
    "vacation answer without headers": ({"from": "anna@example.net", "subject": "Out of office"},
                                        "I am on leave and cannot be reached. Contact ben@example.net."),
    "newsletter": ({"from": "Bolt <news@bolt.example.com>", "subject": "Delivery of your parcel has failed? Never again",
                    "list-unsubscribe": "<https://bolt.example.com/u>"}, "Your order could not be delivered? Write to care@bolt.example.com"),
    "complaint": ({"from": "feedback@example.net", "subject": "FW: February offers",
                   "content-type": "multipart/report; report-type=feedback-report"},
                  "This is an email abuse report for an email message received from 198.51.100.7 for anna@example.net"),
    "complaint in words": ({"from": "staff@example.net", "subject": "complaint about message from 198.51.100.7"}, "anna@example.net"),
    "dmarc report": ({"from": "dmarc@example.net", "subject": "Report domain: acme.example.com Submitter: example.net"},
                     "This is a DMARC aggregate report. Contact postmaster@example.net"),
    "read receipt": ({"from": "anna@example.net", "subject": "Read: February offers",
                      "content-type": "multipart/report; report-type=disposition-notification"}, "Your message was read by anna@example.net"),
    "a person writes": ({"from": "Anna <anna@example.net>", "subject": "Re: meeting"}, "Could you mail ben@example.net? Thanks"),
    "empty": ({}, ""),
}


@pytest.mark.parametrize("name", NOT_BOUNCES)
def test_what_is_no_bounce_yields_nothing(name: str) -> None:
    headers, text = NOT_BOUNCES[name]
    assert read(headers, [text]) == ()


def test_no_text_at_all_yields_nothing() -> None:
    assert read({**DAEMON, "subject": "failure notice"}, []) == ()


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        "a@b." * 60_000, "<" * 200_000, "following recipients failed:\n" + "x@y.zz\n" * 30_000, "\n" * 300_000, "- " * 100_000,
        "could not be delivered to " * 10_000, "Original message " * 10_000, "a" * 64 + "@" + "b." * 100_000, " \t" * 100_000,
        "<a@example.net>:\n" * 20_000, ("user unknown x@example.net " * 40 + "\n") * 500, "-" * 200_000, "\u3042" * 200_000,
        ("the following address " + "word " * 150 + "\n") * 300,
    ],
)
def test_hostile_text_is_read_in_bounded_time(text: str) -> None:
    began = time.perf_counter()
    read({**DAEMON, "subject": "failure notice " + text[:10_000]}, [text, text])
    assert time.perf_counter() - began < 5.0
