"""What every kind of mail becomes: the cases of the parsers, as facts of Acme and Bolt."""

import gzip
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from collectors.contract import Attribution, Identifiers, Reason
from collectors.mail import Kind, parse
from collectors.mail.report import COMPLAINTS
from collectors.measures import MEASURES as ALL_MEASURES
from collectors.observation import Batch
from collectors.providers import Provider, ProviderTable, shipped
from collectors.replies.judgement import CATEGORIES
from collectors.report_mail.facts import MEASURES, READERS, Arrival, MailSettings, arrived_at, facts, read
from collectors.report_mail.facts.failures import MEASURE_OF, measure_of
from tests.collectors.report_mail.facts.known import Known
from tests.places import MAIL_CASES

NOW = datetime(2026, 7, 20, tzinfo=UTC)
OURS = {"acme.example.net": "acme", "bolt.example.org": "bolt"}
DAY_END = datetime(2026, 7, 13, 23, 59, 59, tzinfo=UTC)


def attribute(identifiers: Identifiers) -> Attribution:
    domain = next((name for name in OURS if f".{identifiers.domain}".endswith(f".{name}")), None)
    ip = identifiers.source_ip if identifiers.source_ip == "192.0.2.33" else None
    return Attribution(customer=OURS.get(domain), domain=domain, ip=ip, recipient=identifiers.recipient,
                       provider=identifiers.provider, how="domain" if domain else None)


def nobody(_identifiers: Identifiers) -> Attribution:
    return Attribution()


def mail(case: str) -> bytes:
    (path,) = (MAIL_CASES / case).glob("message.*")
    return path.read_bytes()


def batches_of(raw: bytes, purpose: str = "bounces", whose=attribute, trusted: bool = False,
               providers: ProviderTable | None = None, **settings) -> tuple[Batch, ...]:
    return read(Arrival(raw, "box/INBOX/1", NOW, purpose, trusted=trusted), Known(whose, providers or shipped()), MailSettings(**settings))[1]


def batch_of(*args, **settings) -> Batch:
    """All that one mail becomes, as if it were one batch."""
    batches = batches_of(*args, **settings)
    together = {name: tuple(fact for batch in batches for fact in getattr(batch, name))
                for name in ("observations", "traces", "evidence", "parked")}
    return replace(batches[0], **together)


def counted(batch: Batch) -> dict[tuple[str, ...], float]:
    """(measure, customer, ip) → value"""
    return {(seen.measure, *filter(None, (seen.subject.customer, seen.subject.ip))): seen.value
            for seen in batch.observations}


@pytest.mark.parametrize(("case", "expected", "traced"), [
    ("dsn-two-recipients-xtext", {("hard_bounce", "acme", "192.0.2.33"): 1, ("deferral", "acme", "192.0.2.33"): 1},
     ["bounce", "deferral"]),
    ("dsn-no-blank-lines", {("hard_bounce", "acme", "192.0.2.33"): 1, ("soft_bounce", "acme", "192.0.2.33"): 1},
     ["bounce", "bounce"]),
    ("dsn-empty-final-recipient", {("block", "acme", "192.0.2.33"): 1}, ["block"]),
    ("dsn-delivered", {}, []),
    ("bounce-qmail", {("hard_bounce", "acme", "192.0.2.33"): 1}, ["bounce"]),
    ("bounce-exim", {("soft_bounce", "acme", "192.0.2.33"): 1}, ["bounce"]),
    ("bounce-as-ses-notice", {("hard_bounce", "acme"): 1}, ["bounce"]),
    ("dsn-of-a-dsn", {("unattributed_bounce",): 2}, ["bounce", "deferral"]),
    ("arf-as-in-rfc5965", {("report", "acme", "192.0.2.33"): 1, ("unverified_complaint", "acme", "192.0.2.33"): 1},
     ["complaint"]),
    ("xarf-v3-with-sample", {("report", "acme", "192.0.2.33"): 1, ("unverified_complaint", "acme", "192.0.2.33"): 1},
     ["complaint"]),
    ("dmarc-gzip-attached", {("dmarc_pass", "acme", "192.0.2.33"): 120, ("dmarc_fail", "acme", "192.0.2.33"): 0,
                             ("dmarc_pass", "acme"): 0, ("dmarc_fail", "acme"): 3}, []),
    ("dmarc-failure-rfc9991", {}, ["dmarc_failure"]),
    ("tlsrpt-gzip-in-mail", {("tls_success", "bolt"): 47, ("tls_failure", "bolt"): 2}, ["tls_failure"]),
    ("tlsrpt-bare-without-policies", {}, []),
    ("unsubscribe-by-mail-program", {("unsubscribe", "acme"): 1}, ["unsubscribe"]),
    ("autoreply-out-of-office", {("autoreply", "acme"): 1}, []),
])
@pytest.mark.parametrize("purpose", ["feedback_loop", "abuse"])
def test_a_mail_becomes_the_same_facts_in_whichever_mailbox_it_lies(case, expected, traced, purpose):
    batch = batch_of(mail(case), purpose)

    assert counted(batch) == expected
    assert [trace.kind for trace in batch.traces if trace.kind != "abuse_report"] == traced
    assert not batch.parked


@pytest.mark.parametrize("case", sorted(folder.name for folder in MAIL_CASES.iterdir()))
def test_every_mail_becomes_facts_of_known_measures_or_is_parked_whole(case):
    batch = batch_of(mail(case), whose=nobody)

    assert {seen.measure for seen in batch.observations} <= MEASURES
    assert all(seen.subject.ip is seen.subject.domain is seen.subject.customer is None for seen in batch.observations)
    assert not batch.parked or (batch.parked[0].body == mail(case) and not batch.observations)


def test_the_tables_are_total():
    assert READERS.keys() | {Kind.UNREADABLE} == set(Kind)
    assert MEASURE_OF.keys() == CATEGORIES
    assert set(MEASURE_OF.values()) < MEASURES < ALL_MEASURES.keys()
    assert COMPLAINTS["abuse"]
    assert not COMPLAINTS["not-spam"]


def test_a_bounce_is_traced_with_what_was_said_of_the_recipient():
    bounce, deferral = batch_of(mail("dsn-two-recipients-xtext")).traces

    assert (bounce.recipient, bounce.category, bounce.status, bounce.reply_code, bounce.hard) == (
        "pat+news@provider.example.org", "invalid_recipient", "5.1.1", "550", True)
    assert bounce.text.startswith("550 5.1.1 <store-17@backend.provider.example.org>")
    assert (bounce.message_id, bounce.how, bounce.at) == ("<july-4711@mail.acme.example.net>", "domain", NOW)
    assert (deferral.recipient, deferral.hard) == ("kim@provider.example.org", False)


def test_the_text_of_a_refusal_is_bounded():
    long = mail("bounce-qmail").replace(b"Sorry, no mailbox here", b"Sorry, " + b"no mailbox here " * 2000)
    assert all(len(trace.text or "") <= 1000 for trace in batch_of(long).traces)


def test_identifiers_of_a_bounce_hold_the_return_path_it_came_back_to_and_the_returned_mails_identifiers():
    received: list[Identifiers] = []

    batch_of(mail("dsn-two-recipients-xtext"), whose=lambda identifiers: received.append(identifiers) or Attribution())

    assert {"bounce+acme-7f3a", "acme-7f3a", "july:acme:news:vigie1"} <= set(received[0].tokens)
    assert [identifiers.recipient for identifiers in received] == ["pat+news@provider.example.org", "kim@provider.example.org"]
    assert (received[0].message_id, received[0].domain) == ("<july-4711@mail.acme.example.net>", "acme.example.net")


def test_the_subject_of_an_unsubscribe_request_may_hold_our_token():
    received: list[Identifiers] = []
    request = b"From: kim@example.org\r\nTo: unsubscribe@example.com\r\nSubject: unsubscribe acme.news.77\r\n\r\n\r\n"

    batch_of(request, whose=lambda identifiers: received.append(identifiers) or Attribution())

    assert "acme.news.77" in received[0].tokens


def test_a_dmarc_report_counts_at_the_end_of_its_period_under_the_key_that_names_it():
    attached, bare = batch_of(mail("dmarc-gzip-attached")), batch_of(mail("dmarc-bare-gzip"))

    assert {seen.at for seen in attached.observations} == {DAY_END}
    assert {seen.subject.provider for seen in attached.observations} == {"other"}
    assert attached.key == bare.key
    assert attached.key.startswith("dmarc:provider inc.:20260714-acme:acme.example.net:")


def test_a_report_whose_period_has_not_ended_counts_when_it_came():
    [early] = read(Arrival(mail("dmarc-bare-gzip"), "x/1", DAY_END - timedelta(hours=5)), Known(attribute), MailSettings())[1]
    assert {seen.at for seen in early.observations} == {DAY_END - timedelta(hours=5)}


def test_what_a_report_says_of_strangers_is_one_unattributed_report():
    assert counted(batch_of(mail("dmarc-bare-gzip"), whose=nobody)) == {("unattributed_report",): 1}
    assert counted(batch_of(mail("tlsrpt-gzip-in-mail"), whose=nobody)) == {("unattributed_report",): 1}


def test_tls_failures_are_traced_with_their_kind_and_policy():
    [trace] = batch_of(mail("tlsrpt-gzip-in-mail")).traces
    assert (trace.category, trace.text, trace.count) == ("certificate-expired", "policy sts", 2)


@pytest.mark.parametrize(("raw", "reason", "text"), [
    (mail("bounce-that-names-nobody"), Reason.NO_DATA, "bounce: it names no recipient"),
    (mail("unreadable-no-mail"), Reason.MALFORMED, "unreadable: neither a mail nor a report"),
    (mail("dmarc-cut-off"), Reason.MALFORMED, "unreadable: cut off before its end"),
    (mail("abuse-letter-is-other"), Reason.NO_DATA, "other: no report, bounce or request"),
])
def test_what_cannot_be_used_is_parked_with_its_reason(raw, reason, text):
    [parked] = batch_of(raw).parked
    assert (parked.source, parked.reason, parked.text, parked.body) == ("box/INBOX/1", reason, text, raw)


def test_a_letter_to_an_abuse_address_is_traced_with_its_subject_and_kept():
    raw = mail("abuse-letter-is-other")
    batch = batch_of(raw, "abuse")

    [trace] = batch.traces
    assert trace.kind == "abuse_letter"
    assert trace.text == parse(raw).report_headers["subject"]
    assert batch.evidence[0].body == raw
    assert not batch.observations


@pytest.mark.parametrize(("case", "reported"), [("arf-as-in-rfc5965", "abuse"), ("xarf-v3-with-sample", "spam")])
def test_a_report_to_an_abuse_address_is_to_be_answered_besides_being_counted(case, reported):
    assert [trace.kind for trace in batch_of(mail(case), "feedback_loop").traces] == ["complaint"]
    batch = batch_of(mail(case), "abuse")

    report_trace = next(trace for trace in batch.traces if trace.kind == "abuse_report")
    assert (report_trace.kind, report_trace.subject.customer, report_trace.subject.ip) == ("abuse_report", "acme", "192.0.2.33")
    assert (report_trace.category, report_trace.recipient) == (reported, None)
    assert report_trace.text == parse(mail(case)).report_headers.get("subject")


def test_an_absence_note_leaves_a_count_and_nothing_else():
    batch = batch_of(mail("autoreply-out-of-office"), "abuse")
    assert (len(batch.observations), batch.traces, batch.evidence) == (1, (), ())


def test_what_a_reader_cannot_stand_is_parked_instead_of_coming_back_for_ever(monkeypatch):
    def breaks(_mail):
        raise KeyError("no such thing")

    monkeypatch.setitem(READERS, Kind.DSN, breaks)
    [parked] = batch_of(mail("dsn-two-recipients-xtext")).parked
    assert (parked.reason, parked.text) == (Reason.INTERNAL, "dsn: KeyError: 'no such thing'")


def test_a_database_that_is_away_parks_nothing_the_mail_is_to_come_again():
    def away(_identifiers: Identifiers) -> Attribution:
        raise ConnectionResetError("the database")

    with pytest.raises(ConnectionResetError, match="the database"):
        batch_of(mail("dsn-two-recipients-xtext"), whose=away)


def test_identifiers_hold_no_nul_which_no_database_takes():
    received: list[Identifiers] = []
    raw = mail("dsn-two-recipients-xtext").replace(b"<july-4711@", b"<july\x00-4711@")
    batch_of(raw, whose=lambda identifiers: received.append(identifiers) or Attribution())
    assert received[0].message_id == "<july-4711@mail.acme.example.net>"


def test_the_beginning_of_a_mail_is_never_counted():
    arrival = Arrival(mail("bounce-qmail"), "x/1", NOW, size=30_000_000)
    [parked] = read(arrival, Known(attribute), MailSettings())[1][0].parked
    assert parked.reason is Reason.TOO_LARGE


@pytest.mark.parametrize(("case", "counts"), [("dmarc-gzip-attached", False), ("tlsrpt-gzip-in-mail", False),
                                              ("arf-as-in-rfc5965", True), ("dsn-two-recipients-xtext", True),
                                              ("unsubscribe-by-address", True)])
def test_where_signatures_are_asked_for_aggregate_reports_need_one_and_bounces_cannot_have_one(case, counts):
    batch = batch_of(mail(case), authserv_id="mx.example.com")

    assert bool(batch.observations) is counts
    assert not any(trace.verified for trace in batch.traces)
    assert [parked.reason for parked in batch.parked] == ([] if counts else [Reason.UNVERIFIED])


def test_a_sender_our_server_vouches_for_is_verified():
    raw = mail("unsubscribe-by-mail-program")
    domain = parse(raw).report_headers["from"].rpartition("@")[2].strip(">")
    signed = f"Authentication-Results: mx.example.com; dkim=pass header.d={domain}\r\n".encode() + raw
    assert batch_of(signed, authserv_id="mx.example.com").traces[0].verified


def test_a_failure_for_an_address_that_may_live_again_is_no_hard_bounce():
    [recipient] = parse(mail("bounce-qmail")).recipients
    later = replace(recipient, judgement=replace(recipient.judgement, hard=False))
    assert measure_of(recipient) == "hard_bounce"
    assert measure_of(later) == "soft_bounce"
    assert [measure_of(replace(recipient, action=action)) for action in ("delayed", "relayed", "expanded")] == [
        "deferral", None, None]


def test_facts_are_the_same_for_the_same_report():
    report, raw = parse(mail("bounce-qmail")), mail("bounce-qmail")
    first, second = (facts(report, Arrival(raw, place, NOW), Known(attribute), MailSettings()) for place in ("a/1", "b/2"))
    assert first == second


@pytest.mark.parametrize(("header", "expected"), [
    (b"Received: by mx.example.com; Tue, 14 Jul 2026 08:00:12 +0000\r\nDate: Mon, 13 Jul 2026 08:00:00 +0000",
     datetime(2026, 7, 14, 8, 0, 12, tzinfo=UTC)),
    (b"Date: Mon, 13 Jul 2026 08:00:00 +0000", datetime(2026, 7, 13, 8, tzinfo=UTC)),
    (b"Date: Mon, 13 Jul 2099 08:00:00 +0000", NOW),
    (b"Date: some day", NOW),
    (gzip.compress(b"no header at all"), NOW),
], ids=["received", "date", "future", "nonsense", "none"])
def test_a_mail_in_a_file_arrived_when_its_header_says_and_never_in_the_future(header, expected):
    assert arrived_at(header + b"\r\n\r\nHello\r\n", NOW) == expected


OWN = shipped().with_own([
    Provider(id="town", name="Town", domains=("provider.example.org",), mx=("backend.provider.example.org",)),
])


def test_an_own_provider_is_recognised_by_the_recipients_domain_or_the_host_that_refused():
    for case in ("dsn-two-recipients-xtext", "arf-as-in-rfc5965"):
        assert {seen.subject.provider for seen in batch_of(mail(case), providers=OWN).observations} == {"town"}
        assert "town" not in {seen.subject.provider for seen in batch_of(mail(case)).observations}


def dsn(recipients: int, fillers: int = 0) -> bytes:
    rows = "".join(f"\nFinal-Recipient: rfc822; u{n}@example.net\nAction: failed\nStatus: 5.1.1\n" for n in range(recipients))
    more = "--b\nContent-Type: text/plain\n\nx\n" * fillers
    return ("From: MAILER-DAEMON@example.net\nTo: bounce@acme.example.net\nMIME-Version: 1.0\n"
            "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n"
            f"Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n{rows}\n{more}--b--\n").encode()


@pytest.mark.parametrize(("raw", "counted_ones", "text"), [
    (dsn(20_001), 20_000, "counted, but only the first 20000 recipients were read"),
    (dsn(2, fillers=600), 2, "counted, but only its first parts were read"),
])
def test_what_was_not_looked_at_is_parked_beside_what_counts(raw, counted_ones, text):
    *known, last = batches_of(raw)
    assert sum(seen.value for batch in known for seen in batch.observations) == counted_ones
    ((parked,), key) = last.parked, last.key
    assert (parked.reason, parked.text, parked.body) == (Reason.TOO_LARGE, text, raw)
    assert key != known[0].key, "offered again, it is counted once and stays parked"


def test_a_mail_that_was_read_whole_is_not_parked():
    assert [batch.parked for batch in batches_of(dsn(3))] == [()]


def test_feedback_reports_beyond_the_bound_are_parked_with_their_mail():
    part = "--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: x\nVersion: 1\nOriginal-Rcpt-To: <{}@example.net>\n\n"
    raw = ("From: fbl@example.net\nTo: fbl@acme.example.net\nMIME-Version: 1.0\nContent-Type: multipart/report; boundary=b; "
           "report-type=feedback-report\n\n" + "".join(part.format(f"u{n}") for n in range(230)) + "--b--\n").encode()
    *_, last = batches_of(raw, "feedback_loop")
    assert "more than 200 reports: the others are not read" in last.parked[0].text
