"""What a feedback report states of a mail, however it spells it, and that nothing else is put in its place."""

import pytest

from collectors.mail import Kind, parse
from collectors.mail.report import Feedback
from tests.collectors.mail.test_ip import SPELLINGS

REPORT = """\
From: reports@receiver.example
To: fbl@sender.example
Subject: {subject}
Message-ID: <r1@receiver.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: message/feedback-report

{stated}

--b
Content-Type: message/rfc822

Received: from out1.bolt.example (out1.bolt.example [198.51.100.7]) by mx.receiver.example;
 Tue, 10 Mar 2026 08:58:00 +0000
From: News <news@bolt.example>
To: kim@receiver.example
Message-ID: <m2@bolt.example>

Hello
--b--
"""


def feedback(*lines: str, subject: str = "FW: July") -> Feedback:
    stated = "\n".join(("Feedback-Type: abuse", "User-Agent: x", "Version: 1", *lines))
    parsed = parse(REPORT.format(subject=subject, stated=stated).encode()).feedback
    assert parsed is not None
    return parsed


@pytest.mark.parametrize(("written", "address"), [(text, address) for address, texts in SPELLINGS.items()
                                                  for text in texts])
def test_a_stated_source_ip_is_read_in_every_spelling(written: str, address: str) -> None:
    parsed = feedback(f"Source-IP: {written}")
    assert (parsed.source_ip, parsed.ip, parsed.redacted, parsed.inferred.source_ip) == (address, address, False, None)


@pytest.mark.parametrize("written", ["x.x.x.x", "192.0.2.x", "unknown", "redacted", "not available", "192.0.2.300"])
def test_where_an_unusable_source_ip_is_stated_none_is_inferred(written: str) -> None:
    parsed = feedback(f"Source-IP: {written}")
    assert (parsed.source_ip, parsed.ip, parsed.redacted, parsed.inferred.source_ip) == (written, None, True, None)


@pytest.mark.parametrize("lines", [(), ("Source-IP:",), ("Source-IP:  ",)])
def test_where_no_source_ip_is_stated_it_is_inferred_from_the_attached_mail(lines: tuple[str, ...]) -> None:
    parsed = feedback(*lines)
    assert (parsed.source_ip, parsed.ip, parsed.redacted) == (None, "198.51.100.7", False)


def test_of_several_stated_ips_the_first_usable_counts() -> None:
    assert feedback("Source-IP: x.x.x.x", "Source-IP: 192.0.2.61").ip == "192.0.2.61"


@pytest.mark.parametrize("lines", [
    ("Original-Rcpt-To: <a@r.example>", "Original-Rcpt-To: <b@r.example>"),
    ("Original-Rcpt-To: <a@r.example>, <b@r.example>",),
    ("Original-Rcpt-To: a@r.example, b@r.example",),
    ("Original-Rcpt-To: rfc822; a@r.example", "Original-Rcpt-To: Kim Doe <b@r.example>"),
    ("Original-Rcpt-To: a@r.example", "Original-Rcpt-To: <b@r.example>", "Original-Rcpt-To: <a@r.example>"),
])
def test_every_recipient_is_kept_in_order(lines: tuple[str, ...]) -> None:
    assert feedback(*lines).original_rcpt_to == ("a@r.example", "b@r.example")


def test_comments_are_no_part_of_a_value() -> None:
    parsed = feedback("Reported-Domain: bolt.example (the sender)", "Reported-URI: <http://bolt.example/x>",
                      "Incidents: 7 (today)", "Delivery-Result: Spam (folder)", "Auth-Failure: SPF; see below",
                      "Original-Mail-From: (bounces) <b@bolt.example>")
    assert (parsed.reported_domain, parsed.reported_uri) == (("bolt.example",), ("http://bolt.example/x",))
    assert (parsed.incidents, parsed.delivery_result, parsed.auth_failure) == (7, "spam", "spf")
    assert parsed.original_mail_from == "b@bolt.example"


@pytest.mark.parametrize(("subject", "address"), [
    ("complaint about message from 192.0.2.61", "192.0.2.61"),
    ("complaint about message from [192.0.2.61]", "192.0.2.61"),
    ("complaint about message from IPv6:2001:db8::9", "2001:db8::9"),
    ("complaint about message from ::ffff:192.0.2.61", "192.0.2.61"),
    ("complaint about message from x.x.x.x", None),
])
def test_the_subject_of_a_jmrp_mail_states_the_ip(subject: str, address: str | None) -> None:
    raw = REPORT.format(subject=subject, stated="").replace("message/feedback-report", "text/plain")
    parsed = parse(raw.encode()).feedback
    assert parsed is not None
    assert (parsed.ip, parsed.inferred.source_ip) == (address, None)


PROSE = """\
From: postmaster@receiver.example
To: ruf@bolt.example
Subject: {subject}
Message-ID: <f1@receiver.example>
MIME-Version: 1.0
Content-Type: {type}

{start}A message claiming to be from you has failed the published DMARC
policy for your domain.

{words}

{rule}
{header}
"""
WORDS = """\
  Sender Domain: bolt.example
  Sender IP Address: {ip}
  Received Date: Tue, 10 Mar 2026 08:52:51 +0100
  SPF Alignment: no"""
HEADER = """\
Received: from out.far.example ([192.0.2.30])
        by mx.receiver.example with esmtp; Tue, 10 Mar 2026 08:52:51 +0100
From: News <news@bolt.example>
To: kim@receiver.example
Message-ID: <fake@far.example>
Subject: Offer"""
START = "--b\nContent-Type: text/plain\n\n"
REPORT_TYPE = 'multipart/report; boundary="b"'
RULE = "------ This is a copy of the headers that were received before the error was detected.\n"
TWO_LINES = "------ This is a copy of the headers that were received before the error\n       was detected.\n"


def unindented(text: str) -> str:
    return "\n".join(line.lstrip() for line in text.split("\n"))


def indented(text: str) -> str:
    return "\n".join("    " + line for line in text.split("\n"))


@pytest.mark.parametrize("ip", ["192.0.2.30", "192.0.2.30 (out.far.example)", "out.far.example [192.0.2.30]",
                                "[192.0.2.30]:25", "::ffff:192.0.2.30"])
@pytest.mark.parametrize("rule", [
    RULE, TWO_LINES, unindented(TWO_LINES), RULE[:-1], "----- Original message headers -----\n", "--- header ---",
    "------ This is a copy of the headers\n------ that were received before the error was detected.\n", "",
], ids=["one line", "two lines", "two at the margin", "no blank line", "other words", "short", "two rules", "none"])
@pytest.mark.parametrize("words", [WORDS, unindented(WORDS), indented(WORDS)], ids=["two", "none", "six"])
@pytest.mark.parametrize("header", [HEADER, indented(HEADER)], ids=["header at the margin", "header indented"])
def test_a_dmarc_failure_in_words_is_read(ip: str, rule: str, words: str, header: str) -> None:
    raw = PROSE.format(subject="DMARC Forensic Report for bolt.example", type=REPORT_TYPE, start=START,
                       words=words.format(ip=ip), rule=rule, header=header)
    report = parse(raw.encode())
    parsed = report.feedback
    assert report.kind is Kind.DMARC_FAILURE
    assert parsed is not None
    assert (parsed.source_ip, parsed.ip, parsed.inferred.source_ip) == ("192.0.2.30", "192.0.2.30", None)
    assert (parsed.reported_domain, parsed.message_id) == (("bolt.example",), "<fake@far.example>")
    assert parsed.arrival_at is not None
    assert parsed.arrival_at.isoformat() == "2026-03-10T07:52:51+00:00"
    assert parsed.inferred.original_rcpt_to == ("kim@receiver.example",)


def test_a_dmarc_failure_in_words_may_be_the_whole_mail() -> None:
    raw = PROSE.format(subject="x", type="text/plain", start="", words=WORDS.format(ip="192.0.2.30"), rule=RULE,
                       header=HEADER)
    assert parse(raw.encode()).kind is Kind.DMARC_FAILURE


def test_a_person_who_writes_about_dmarc_failures_reports_none() -> None:
    raw = PROSE.format(subject="your DMARC failure report", type="text/plain", start="", words="Please stop.",
                       rule="", header="")
    assert parse(raw.encode()).kind is Kind.OTHER


@pytest.mark.parametrize(("source", "ip", "domains"), [
    ("192.0.2.61", "192.0.2.61", ()), ("IPv6:2001:db8::9", "2001:db8::9", ()), ("x.x.x.x", None, ()),
    ("bolt.example", "198.51.100.7", ("bolt.example",)),
])
def test_an_xarf_source_is_an_ip_in_any_spelling_or_a_domain(source: str, ip: str | None, domains: tuple[str]) -> None:
    sample = REPORT.partition("Received: from out1")[2].rpartition("\n--b--")[0].replace("\n", "\\n")
    raw = ('{"Version": "3", "ReporterInfo": {}, "Report": {"ReportType": "Spam", "SourceIp": "%s", "Samples": [{'
           '"ContentType": "message/rfc822", "Base64Encoded": false, "Payload": "Received: from out1%s"}]}}')
    parsed = parse((raw % (source, sample)).encode()).feedback
    assert parsed is not None
    assert (parsed.ip, parsed.reported_domain) == (ip, domains)
