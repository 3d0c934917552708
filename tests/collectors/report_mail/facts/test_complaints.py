"""Which complaints count: once per recipient and mail, and only from who may make them."""

from collections import Counter
from datetime import UTC, datetime
from itertools import count

import pytest

from collectors.contract import Attribution, Identifiers
from collectors.observation import Batch
from collectors.report_mail.facts import Arrival, MailSettings, read
from tests.collectors.report_mail.facts.known import Known

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
SERVER = "mx.example.com"
YAHOO = "arf.mail.yahoo.com"
NUMBERS = count()


def arf(signer: str | None = YAHOO, *, sender: str = "feedback@arf.mail.yahoo.com", recipient: str = "ann@yahoo.fr",
        message: str | None = "<m1@news.acme.example>", token: str = "") -> bytes:
    """Each call another mail; what it is about is as asked for."""
    signed = f"Authentication-Results: {SERVER}; dkim=pass header.d={signer}\n" if signer else ""
    about = "".join(f"{name}: {value}\n" for name, value in (("Message-ID", message), ("X-Vigie-Token", token)) if value)
    return (f"{signed}From: {sender}\nTo: fbl@example.com\nMessage-ID: <report-{next(NUMBERS)}@x.example>\nMIME-Version: 1.0\n"
            'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\n\n--b\n'
            "Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: x\nVersion: 1\n"
            f"Original-Rcpt-To: {recipient}\n\n--b\nContent-Type: message/rfc822\n\nFrom: news@news.acme.example\n{about}\nHello\n"
            "--b--\n").encode()


def attribute(identifiers: Identifiers) -> Attribution:
    """Every mail is Acme's; tokens are genuine where they begin with `good`."""
    token = (identifiers.headers or {}).get("x-vigie-token", "")
    if token.startswith("good"):
        return Attribution("acme", "news", recipient_ref=token, how="token", recipient=identifiers.recipient)
    return Attribution("acme", "news", recipient=identifiers.recipient, how="domain", domain="news.acme.example")


def taken(*mails: bytes, trusted: bool = False, authserv_id: str | None = SERVER, **settings) -> Counter[str]:
    """Counts by measure after these mails came in order, each key being taken once."""
    batches: dict[str, Batch] = {}
    for raw in mails:
        arrival = Arrival(raw, "box/INBOX/1", NOW, trusted=trusted)
        for batch in read(arrival, Known(attribute), MailSettings(authserv_id=authserv_id, **settings))[1]:
            assert not batch.parked
            batches.setdefault(batch.key, batch)
    counted: Counter[str] = Counter()
    for batch in batches.values():
        for seen in batch.observations:
            counted[seen.measure] += int(seen.value or 0)
    return counted


def complaints(*mails: bytes, **settings) -> tuple[int, int]:
    """Those that count, and those that do not."""
    counted = taken(*mails, **settings)
    assert counted["report"] == len(mails)
    return counted["complaint"], counted["unverified_complaint"]


def test_a_complaint_of_the_providers_own_reporter_counts():
    assert complaints(arf()) == (1, 0)


@pytest.mark.parametrize("mail", [
    arf(None), arf("attacker.example", sender="x@attacker.example"), arf("attacker.example"), arf("yahoo.com", sender="eve@yahoo.com"),
    arf(recipient="ann@gmail.com"), arf("gmail.com", sender="eve@gmail.com", recipient="eve@gmail.com"),
    arf("attacker.example", sender="x@attacker.example", recipient="u@attacker.example"),
], ids=["unsigned", "a stranger", "a stranger as Yahoo", "a user of the provider", "of another provider", "about himself",
        "of his own domain"])
def test_anybody_elses_is_kept_as_unverified_and_holds_nobody(mail):
    assert complaints(mail) == (0, 1)


def test_without_a_server_that_vouches_no_signature_is_believed():
    assert complaints(arf(), authserv_id=None) == (0, 1)


def test_in_a_trusted_mailbox_every_complaint_counts():
    assert complaints(arf(None), trusted=True, authserv_id=None) == (1, 0)


def test_a_domain_the_operator_added_is_believed_for_its_providers():
    reporter = {"isp.example": {"gmail"}}
    assert complaints(arf("isp.example", recipient="ann@gmail.com"), reporters=reporter) == (1, 0)
    assert complaints(arf("isp.example"), reporters=reporter) == (0, 1)


def test_a_flood_of_forged_reports_counts_nothing():
    forged = [arf("attacker.example", recipient=f"u{number}@gmail.com", message=f"<o{number}@news.acme.example>")
              for number in range(120)]
    assert complaints(*forged) == (0, 120)


def test_one_recipient_complains_of_one_mail_once_in_however_many_reports():
    assert complaints(arf(), arf(), arf(recipient="Ann@yahoo.fr"), arf(message="m1@news.acme.example")) == (1, 0)
    assert complaints(arf(), arf(recipient="bob@yahoo.fr"), arf(message="<m2@news.acme.example>")) == (3, 0)
    assert complaints(arf(None), arf(None)) == (0, 1)


def test_a_forged_report_that_comes_first_does_not_take_the_place_of_the_true_one():
    assert complaints(arf(None), arf()) == (1, 1)


def test_hashed_recipients_are_distinguished_by_their_hash_and_masked_ones_are_each_their_own():
    hashes = [arf(recipient=f"{letter * 32}@yahoo.fr") for letter in "abab"]
    assert complaints(*hashes) == (2, 0)
    assert complaints(*(arf(recipient="redacted@yahoo.fr") for _ in range(3))) == (3, 0)
    assert complaints(*(arf(message=None) for _ in range(3))) == (3, 0)


def test_our_own_token_makes_one_complaint_whatever_else_the_report_says():
    replayed = [arf(None, token="good1", recipient=f"u{number}@gmail.com", message=f"<o{number}@x>") for number in range(120)]
    assert complaints(*replayed) == (1, 0)
    assert complaints(arf(None, token="good1"), arf(None, token="good2"), arf(None, token="bad")) == (2, 1)


def test_a_complaint_suppresses_only_where_it_counts():
    for mail, verified in ((arf(), True), (arf(None), False), (arf(None, token="good1"), True)):
        batches = read(Arrival(mail, "x/1", NOW), Known(attribute), MailSettings(authserv_id=SERVER))[1]
        assert [trace.verified for batch in batches for trace in batch.traces] == [verified]
