"""From a mail as it arrives to a suppression, or to none: what a forger can and cannot bring about."""

import threading

import pytest

from collectors.report_mail.facts import Arrival, MailSettings, read
from monitor.database.paging import Page
from monitor.intake.context import RunContext
from monitor.inventory.difference import planned
from monitor.inventory.items import Customer, Domain, Inventory, Stream
from monitor.inventory.rows import apply_difference, read_inventory
from monitor.sender.recipient import recipient_ref
from monitor.sender.token import make_token
from monitor.suppressions.rows import Wanted, find
from tests.monitor.conftest import T

SIGNED = "Authentication-Results: mx.example.com; dkim=pass header.d="


@pytest.fixture
def arrives(store):
    """Let a mail arrive; answers with reason, stream and recipient of what is suppressed then."""
    wanted = Inventory().put("customers", Customer(id="acme"))
    wanted = wanted.put("streams", Stream(customer="acme", name="newsletter"))
    wanted = wanted.put("domains", Domain(domain="news.example.com", customer="acme", stream="newsletter"))
    with store.session() as session:
        apply_difference(session, planned(read_inventory(session), wanted))

    def arrive(raw: str, *, authserv_id: str | None = "mx.example.com", trusted: bool = False):
        context = RunContext(store, "feedback_loop", {}, threading.Event(), T)
        _, batches = read(Arrival(raw.encode(), "test", T, trusted=trusted), context, MailSettings(authserv_id=authserv_id))
        store.intake(batches, T)
        with store.reading_session() as session:
            return [(row.reason, row.stream, row.recipient_ref) for row in find(session, Wanted(), Page()).rows]

    return arrive


def complaint(sender: str = "feedback@arf.mail.yahoo.com", signer: str = "arf.mail.yahoo.com", *, recipient: str = "ann@yahoo.fr",
              return_path: str = "bounce@news.example.com") -> str:
    signature = [f"{SIGNED}{signer}"] if signer else []
    return "\r\n".join([
        *signature, f"From: {sender}", "MIME-Version: 1.0", 'Content-Type: multipart/report; report-type=feedback-report; boundary="b"', "",
        "--b", "Content-Type: text/plain", "", "A complaint.",
        "--b", "Content-Type: message/feedback-report", "", "Feedback-Type: abuse", "User-Agent: Example/1.0", "Version: 1",
        f"Original-Rcpt-To: <{recipient}>", "",
        "--b", "Content-Type: text/rfc822-headers", "", f"Return-Path: <{return_path}>", "From: news@news.example.com", "Subject: News", "", "--b--", "",
    ])


def dsn(return_path: str) -> str:
    return "\r\n".join([
        "From: MAILER-DAEMON@example.net", f"To: <{return_path}>", "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"', "",
        "--b", "Content-Type: text/plain", "", "No such user.",
        "--b", "Content-Type: message/delivery-status", "", "Reporting-MTA: dns; mx.example.net", "",
        "Final-Recipient: rfc822; forwarded@example.net", "Action: failed", "Status: 5.1.1", "Diagnostic-Code: smtp; 550 5.1.1 User unknown", "",
        "--b", "Content-Type: text/rfc822-headers", "", "From: news@news.example.com", "", "--b--", "",
    ])


def test_a_signed_complaint_of_the_recipients_provider_suppresses_for_all_streams(store, arrives):
    assert arrives(complaint()) == [("complaint", "", store.recipient_ref("acme", "ann@yahoo.fr"))]


def test_a_complaint_anybody_else_signs_about_that_recipient_suppresses_nobody(arrives):
    assert arrives(complaint("fbl@attacker.example", "attacker.example")) == []


def test_an_unsigned_complaint_suppresses_nobody_unless_only_providers_can_write_there(store, arrives):
    assert arrives(complaint(signer="")) == []
    assert arrives(complaint(signer=""), authserv_id=None) == []
    [(reason, _, ref)] = arrives(complaint(signer="", recipient="bob@yahoo.fr"), trusted=True)
    assert (reason, ref) == ("complaint", store.recipient_ref("acme", "bob@yahoo.fr"))


@pytest.mark.parametrize("make", [lambda path: complaint(signer="", recipient="redacted@yahoo.fr", return_path=path), dsn],
                         ids=["complaint that hides the recipient", "bounce of a forwarded mail"])
def test_our_token_names_the_recipient_of_a_report_nobody_signed(store, arrives, make):
    key = store.customer_key("acme")
    token = make_token(key, "acme", "newsletter", recipient_ref=recipient_ref(key, "ann@example.org"))
    [(_, stream, ref)] = arrives(make(f"b+{token}@news.example.com"), authserv_id=None)
    assert (stream, ref) == ("", store.recipient_ref("acme", "ann@example.org"))


def test_a_forged_token_brings_nothing_about(store, arrives):
    key = store.customer_key("bolt")
    token = make_token(key, "acme", "newsletter", recipient_ref=recipient_ref(key, "ann@example.org"))
    assert arrives(dsn(f"b+{token}@news.example.com"), authserv_id=None) == []


def test_who_asks_to_be_left_out_of_a_stream_is_left_out_of_that_one(store, arrives):
    key = store.customer_key("acme")
    token = make_token(key, "acme", "newsletter", recipient_ref=recipient_ref(key, "ann@example.org"))
    raw = f"From: Ann <ann@example.org>\r\nTo: <u+{token}@news.example.com>\r\nSubject: unsubscribe\r\n\r\nunsubscribe\r\n"
    assert arrives(raw) == [("unsubscribe", "newsletter", store.recipient_ref("acme", "ann@example.org"))]
