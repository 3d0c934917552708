"""Identity, what attribution is handed, and the promise never to raise."""


import pytest

from collectors.mail import Kind, classify, parse
from collectors.mail.mime import Limits
from tests.places import MAIL_CASES


def mail_of(name: str) -> bytes:
    return (MAIL_CASES / name / "message.eml").read_bytes()


def test_a_mail_fetched_again_with_other_trace_fields_is_the_same() -> None:
    once = mail_of("arf-as-in-rfc5965")
    again = (
        b"Return-Path: <x@example.org>\nDelivered-To: other@acme.example.net\nX-Spam-Status: No\n"
        + once.replace(b"fbl.provider.example.org (fbl", b"relay.example.org (fbl", 1)
    )
    assert parse(again).identity == parse(once).identity


def test_two_reports_about_the_same_mail_are_not_the_same() -> None:
    once = mail_of("arf-as-in-rfc5965")
    assert parse(once.replace(b"<r-1@", b"<r-9@")).identity != parse(once).identity


def test_the_same_document_is_the_same_however_it_is_packed() -> None:
    names = ("dmarc-gzip-attached", "dmarc-zip-is-the-whole-body", "dmarc-octet-stream-without-a-name")
    assert len({parse(mail_of(name)).identity for name in names}) == 1


def test_attribution_gets_the_identifiers_of_the_reported_mail() -> None:
    report = parse(mail_of("arf-as-in-rfc5965"))
    headers = report.original_headers
    assert headers["feedback-id"] == "july:acme:news:vigie1"
    assert headers["return-path"] == "<bounce+acme-7f3a@mail.acme.example.net>"
    assert headers["x-campaign"] == "july-offers"


def test_attribution_gets_the_identifiers_of_the_report_itself() -> None:
    headers = parse(mail_of("yahoo-old-with-from-line-inside")).report_headers
    assert headers["dkim"] == "arf.mail.yahoo.com"
    assert headers["message-id"] == "<r-1@fbl.provider.example.org>"
    assert parse(mail_of("bounce-qmail")).report_headers["to"] == "bounce+acme-7f3a@mail.acme.example.net"


@pytest.mark.parametrize(
    "name", ["bounce-qmail", "bounce-exim", "bounce-that-names-nobody", "dsn-two-recipients-xtext"]
)
def test_the_returned_mail_is_found(name: str) -> None:
    assert parse(mail_of(name)).original_headers["message-id"] == "<july-4711@mail.acme.example.net>"


def test_a_notification_keeps_the_ids_of_the_envelope() -> None:
    headers = parse(mail_of("dsn-two-recipients-xtext")).original_headers
    assert headers["original-envelope-id"] == "acme-7f3a"
    assert headers["x-postfix-queue-id"] == "4Bq7"


def test_a_masked_ip_is_kept_as_stated_and_none_is_inferred_beside_it() -> None:
    feedback = parse(mail_of("validity-hashed-recipient")).feedback
    assert feedback is not None
    assert feedback.source_ip == "x.x.x.x"
    assert feedback.ip is feedback.inferred.source_ip is None


def test_an_error_inside_a_parser_ends_as_an_unreadable_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise LookupError("boom")

    monkeypatch.setattr(classify, "READERS", (broken,))
    report = parse(b"Subject: x\n\nbody")
    assert report.kind is Kind.UNREADABLE
    assert report.error == "LookupError: boom"
    assert report.identity


def test_a_mail_beyond_the_bound_is_unreadable() -> None:
    report = parse(b"Subject: x\n\n" + b"y" * 100, Limits(size=50))
    assert (report.kind, report.error) == (Kind.UNREADABLE, "larger than 50 bytes")


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"From: a@example.org\nX-Apple-Action: vacation\nSubject: Re: offers\n\nback soon", "autoreply"),
        (
            b"From: a@example.org\nAuto-Submitted: auto-generated\nIn-Reply-To: <x@y>\n\nthanks",
            "autoreply",
        ),
        (b"From: a@example.org\nAuto-Submitted: auto-generated\nSubject: nightly job\n\nok", "other"),
        (
            b"From: a@example.org\nSubject: unsubscribe\n\n" + b"I have a longer story to share. " * 500,
            "other",
        ),
        (
            b"Return-Path: <>\nFrom: postmaster@x.org\nSubject: Mail delivery\n\nSuccessfully delivered.",
            "other",
        ),
        (
            b"From: MAILER-DAEMON@x.org\nSubject: Returned mail: see transcript\n\nNo transcript.",
            "bounce",
        ),
        (
            b"From: kim@example.org\nSubject: Fwd\n\nFinal-Recipient: rfc822; a@b.org\nAction: failed\n",
            "other",
        ),
    ],
)
def test_signs_are_weighed(raw: bytes, kind: str) -> None:
    assert parse(raw).kind == kind


@pytest.mark.parametrize(
    ("stated", "address"),
    [
        ("rfc822; pat+2Bnews@example.org", "pat+news@example.org"),
        ("rfc822; pat+2D@example.org", "pat-@example.org"),
        ("rfc822; pat+2026@example.org", "pat+2026@example.org"),
        ("rfc822; pat+AB@example.org", "pat+AB@example.org"),
        ("rfc822; pat+3Dx+2by@example.org", "pat+3Dx+2by@example.org"),
        ("RFC822;<pat@example.org>", "pat@example.org"),
        ("utf-8; j\\x{FC}rgen@example.org", "jürgen@example.org"),
        ("utf-8; \\x{D800}\\x{FFFFFF}@example.org", "\ufffd\ufffd@example.org"),
    ],
)
def test_an_address_of_a_notification_is_decoded_only_where_it_is_coded(stated: str, address: str) -> None:
    raw = f"Content-Type: message/delivery-status\n\nOriginal-Recipient: {stated}\nAction: failed\n"
    (recipient,) = parse(raw.encode()).recipients
    assert recipient.address == address
    recipient.address.encode()


def test_each_recipient_is_judged_by_what_is_said_about_it() -> None:
    raw = b"""From: MAILER-DAEMON@mx.example.org
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b

Some of your mail could not be delivered.

pat@example.org
    mailbox full

kim@example.org
    user unknown

--b
Content-Type: message/delivery-status

Final-Recipient: rfc822; kim@example.org
Action: failed
Status: 5.0.0

Final-Recipient: rfc822; pat@example.org
Action: failed
Status: 5.0.0
--b--
"""
    categories = {recipient.address: recipient.judgement.category for recipient in parse(raw).recipients}
    assert categories == {"kim@example.org": "invalid_recipient", "pat@example.org": "mailbox_full"}
