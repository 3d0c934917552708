"""The collector against a real IMAP server; what a monitor would do with its batches is played by `Monitor`."""

import json
import logging
import socket
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from collectors.contract import Attribution, CollectorError, Identifiers, Mailbox, Reason, Watcher
from collectors.mail import parse
from collectors.observation import Batch, Subject
from collectors.providers import shipped
from collectors.report_mail import mail_source
from collectors.report_mail.facts.whose import tokens
from collectors.report_mail.feedback_loop import FeedbackLoop
from collectors.report_mail.mail_source import MailboxSettings
from monitor.demo.servers.imap import ImapServer
from tests.places import SHARED_DATA
from tests.servers.dovecot import Dovecot
from tests.waiting import PATIENCE_SECONDS, ended, free_port

PASSWORD = Dovecot.password
MAILS = SHARED_DATA / "mail"
NOW = datetime.now(UTC) + timedelta(seconds=5)  # servers date what they receive by the real clock
ARRIVED = (NOW - timedelta(hours=3)).replace(microsecond=0)


def arf(number: int = 1, kind: str = "abuse", arrived: datetime | None = ARRIVED, *, token: str = "acme1",
        recipients: tuple[str, ...] = ("reader@yahoo.fr",), source_ip: str | None = "192.0.2.7") -> bytes:
    fields = [f"Feedback-Type: {kind}", "User-Agent: ExampleFBL/1.0", "Version: 1"]
    fields += [f"Original-Mail-From: <bounce+{token}@news.example.com>"]
    fields += [f"Arrival-Date: {format_datetime(arrived)}"] if arrived else []
    fields += [f"Source-IP: {source_ip}"] if source_ip else []
    fields += [f"Original-Rcpt-To: <{recipient}>" for recipient in recipients]
    return "\r\n".join([
        "From: feedback@example.org", "To: fbl@example.com", f"Message-ID: <report{number}@example.org>",
        "MIME-Version: 1.0", 'Content-Type: multipart/report; report-type=feedback-report; boundary="b"', "",
        "--b", "Content-Type: text/plain", "", f"A complaint, number {number}.",
        "--b", "Content-Type: message/feedback-report", "", *fields, "",
        "--b", "Content-Type: text/rfc822-headers", "",
        "From: news@news.example.com", f"Message-ID: <mail{number}@news.example.com>",
        "Feedback-ID: autumn:acme:newsletter:vigie", "Subject: News", "", "--b--", "",
    ]).encode()


LETTER = b"From: reader@example.org\r\nTo: fbl@example.com\r\nSubject: Hello\r\n\r\nIs anybody there?\r\n"


def as_one(batches: list[Batch]) -> Batch:
    together = {name: tuple(fact for batch in batches for fact in getattr(batch, name))
                for name in ("observations", "traces", "evidence", "parked")}
    return replace(batches[0], **together)


class Monitor:
    """Commits batches as the store does: a key is taken once, the cursor with the facts, then the acknowledgement."""

    def __init__(self, *mailboxes: Mailbox) -> None:
        self.boxes = mailboxes
        self.identifiers: list[Identifiers] = []
        self.providers = shipped()
        self.cursors: dict = {}
        self.batches: dict[str, Batch] = {}
        self.offered: list[str] = []
        self.stop_after: int | None = None

    def mailboxes(self, purpose: str):
        assert purpose == "feedback_loop"
        return self.boxes

    def prepare(self, expected) -> None:
        """Nothing is at hand."""

    def attribute(self, identifiers: Identifiers) -> Attribution:
        self.identifiers.append(identifiers)
        if "shared" in identifiers.tokens:
            return Attribution(ip=identifiers.source_ip)
        if "acme1" in identifiers.tokens:
            return Attribution(customer="acme", stream="newsletter", campaign="autumn", ip="192.0.2.7", how="token")
        return Attribution()

    def cursor(self, name: str):
        return self.cursors.get(name)

    def stopping(self) -> bool:
        return self.stop_after is not None and len(self.offered) >= self.stop_after

    def run(self, collector: FeedbackLoop | None = None, *, die_before_commit_of: int | None = None) -> list[Batch]:
        """What is new, all batches of one mail as one; dies before the batch of this number."""
        new, of_mail = [], []
        trusting = MailboxSettings(trusted_mailboxes={box.name for box in self.boxes})
        for batch in (collector or FeedbackLoop(trusting)).collect(self, NOW):
            self.offered.append(batch.key)
            if die_before_commit_of is not None and len(self.offered) > die_before_commit_of:
                return new
            if batch.key not in self.batches:
                self.batches[batch.key] = batch
                of_mail.append(batch)
            if batch.cursor_name:
                self.cursors[batch.cursor_name] = batch.cursor
            if batch.acknowledge:
                batch.acknowledge()
            if of_mail and (batch.acknowledge or batch.cursor_name):
                new.append(as_one(of_mail))
                of_mail = []
        return new

    def counted(self, measure: str) -> float:
        return sum(seen.value or 0 for batch in self.batches.values() for seen in batch.observations
                   if seen.measure == measure)


def box(server, **changes) -> Mailbox:
    return replace(Mailbox("yahoo", "127.0.0.1", server.user, PASSWORD, port=server.port, tls="none"), **changes)


def observations(batch: Batch) -> dict:
    return {seen.measure: seen for seen in batch.observations}


def test_a_complaint_has_its_count_trace_evidence_and_the_mails_own_date(any_server):
    any_server.deliver(arf())
    monitor = Monitor(box(any_server))

    report, _ = monitor.run()

    seen = observations(report)
    subject = Subject(customer="acme", stream="newsletter", campaign="autumn", ip="192.0.2.7", provider="yahoo")
    assert set(seen) == {"report", "complaint"}
    assert seen["complaint"].subject == seen["report"].subject == subject
    assert (seen["complaint"].value, seen["complaint"].at) == (1, ARRIVED)
    assert abs(seen["report"].at - NOW) < timedelta(minutes=1)
    [trace] = report.traces
    assert (trace.kind, trace.recipient, trace.message_id, trace.how, trace.category) == (
        "complaint", "reader@yahoo.fr", "<mail1@news.example.com>", "token", "abuse")
    assert report.evidence[0].body == arf()
    assert report.key == f"mail:{parse(arf()).identity}"
    assert [key.partition(":")[0] for key in monitor.offered] == ["mail", "complaint", "mailbox"]


def test_the_identifiers_hold_our_tokens_the_ids_the_recipient_the_ip_and_the_provider(server):
    server.deliver(arf())
    monitor = Monitor(box(server))

    monitor.run()

    [identifiers] = monitor.identifiers
    assert {"bounce+acme1", "acme1", "autumn:acme:newsletter:vigie", "acme", "vigie"} <= set(identifiers.tokens)
    assert (identifiers.message_id, identifiers.recipient) == ("<mail1@news.example.com>", "reader@yahoo.fr")
    assert (identifiers.source_ip, identifiers.domain, identifiers.provider) == ("192.0.2.7", "news.example.com", "yahoo")
    assert identifiers.headers["feedback-id"] == "autumn:acme:newsletter:vigie"


def test_whole_identifiers_stand_before_their_pieces_and_there_are_never_too_many():
    identifiers = tokens(parse(arf(token="-".join(f"x{number:03}" for number in range(100)))))
    assert len(identifiers) == 32
    assert "autumn:acme:newsletter:vigie" in identifiers


@pytest.mark.parametrize("arrived", [None, NOW + timedelta(hours=2), NOW - timedelta(days=8)],
                         ids=["not said", "in the future", "too old"])
def test_a_date_that_cannot_be_believed_gives_way_to_the_time_of_receipt(server, arrived):
    server.deliver(arf(arrived=arrived))

    report, _ = Monitor(box(server)).run()

    assert abs(observations(report)["complaint"].at - NOW) < timedelta(minutes=1)


@pytest.mark.parametrize(("kind", "complains"), [("abuse", True), ("fraud", True), ("opt-out", True), ("virus", True),
                                                 ("not-spam", False), ("other", False), ("something-new", False)])
def test_only_what_a_recipient_holds_against_us_is_a_complaint(server, kind, complains):
    server.deliver(arf(kind=kind))

    report, _ = Monitor(box(server)).run()

    assert ("complaint" in observations(report)) is complains
    assert observations(report)["report"].value == 1
    assert report.traces[0].kind == ("complaint" if complains else "report")


def test_a_report_that_names_several_recipients_is_one_complaint(server):
    server.deliver(arf(recipients=("one@yahoo.fr", "two@yahoo.fr", "three@yahoo.fr")))
    monitor = Monitor(box(server))

    monitor.run()

    assert monitor.counted("complaint") == 1


def test_a_report_about_nobody_of_ours_is_counted_but_names_no_series_of_its_own(server):
    server.deliver(arf(token="stranger", source_ip="203.0.113.200"))

    report, _ = Monitor(box(server)).run()

    seen = observations(report)
    assert set(seen) == {"report", "unattributed_report"}
    assert seen["unattributed_report"].subject == Subject(provider="yahoo")
    assert report.traces[0].how is None


def test_a_complaint_about_a_shared_ip_of_ours_counts_for_the_ip_though_nobody_is_named(server):
    server.deliver(arf(token="shared"))

    report, _ = Monitor(box(server)).run()

    seen = observations(report)
    assert set(seen) == {"report", "unattributed_report", "complaint"}
    assert seen["complaint"].subject == Subject(ip="192.0.2.7", provider="yahoo")


def test_a_complaint_that_was_not_believed_counts_once_it_comes_from_where_it_is(server):
    server.deliver(b"Authentication-Results: mx.example.com; none\r\n" + arf(token="shared"))
    monitor = Monitor(box(server, done_folder="Done", parked_folder="Parked"))
    monitor.run(FeedbackLoop(MailboxSettings(authserv_id="mx.example.com")))
    assert (monitor.counted("complaint"), monitor.counted("unverified_complaint")) == (0, 1)

    server.deliver(b"Authentication-Results: mx.example.com; none\r\n" + arf(token="shared"))
    monitor.run()

    assert (monitor.counted("complaint"), monitor.counted("unverified_complaint")) == (1, 1)


def test_a_hidden_recipient_is_not_traced_and_the_mailbox_names_the_provider(server):
    server.deliver(arf(recipients=("0123456789abcdef0123456789abcdef@example.net",)))
    monitor = Monitor(box(server, provider="comcast"))

    report, _ = monitor.run()

    assert report.traces[0].recipient is None
    assert monitor.identifiers[0].recipient is None
    assert observations(report)["report"].subject.provider == "comcast"


def test_the_same_report_twice_in_two_folders_or_renumbered_counts_once(any_server):
    for folder in ("INBOX", "INBOX", "Copies"):
        any_server.deliver(arf(), folder)
    monitor = Monitor(box(any_server), box(any_server, name="copies", folder="Copies"))
    monitor.run()
    any_server.renumber()
    before = len(monitor.offered)

    monitor.run()

    assert monitor.counted("complaint") == 1
    assert [key[:5] for key in monitor.offered[before:]].count("mail:") >= 2  # offered anew, taken once


@pytest.mark.parametrize("done_folder", [None, "Done"])
@pytest.mark.parametrize("die_before", [0, 1, 2, 3, 4, 9])
def test_killed_between_fetching_and_committing_nothing_is_lost_and_nothing_counted_twice(
        any_server, done_folder, die_before):
    for number in range(5):
        any_server.deliver(arf(number))
    monitor = Monitor(box(any_server, done_folder=done_folder))

    monitor.run(die_before_commit_of=die_before)
    assert monitor.counted("report") + monitor.counted("complaint") == die_before
    monitor.run()
    assert (monitor.counted("report"), monitor.counted("complaint")) == (5, 5)
    before = len(monitor.offered)
    monitor.run()

    assert monitor.counted("complaint") == 5
    assert [key[:8] for key in monitor.offered[before:]] == ["mailbox:"]


def test_finished_mails_are_marked_or_moved_and_what_is_not_a_report_is_parked_with_its_reason(server):
    server.deliver(arf())
    server.deliver(LETTER)
    server.deliver(b"\0\xff" * 50)
    monitor = Monitor(box(server, done_folder="Done", parked_folder="Parked"))

    parked = [batch.parked[0] for batch in monitor.run() if batch.parked]

    assert [(row.reason, row.text.split(":")[0]) for row in parked] == [
        (Reason.NO_DATA, "other"), (Reason.MALFORMED, "unreadable")]
    assert parked[0].source.startswith("yahoo/INBOX/")
    assert parked[0].body == LETTER
    assert (len(server.messages()), len(server.messages("Done")), len(server.messages("Parked"))) == (0, 1, 2)


def test_a_mail_that_is_too_large_is_parked_with_its_beginning(server):
    server.deliver(arf() + b"x" * 50_000)

    parked, _ = Monitor(box(server)).run(FeedbackLoop(MailboxSettings(max_mail_bytes=10_000)))

    assert parked.parked[0].reason == Reason.TOO_LARGE
    assert len(parked.parked[0].body) == 10_000


def test_a_mailbox_that_cannot_be_read_is_a_known_zero_and_does_not_stop_the_others(server):
    server.deliver(arf())
    monitor = Monitor(box(server, name="broken", password="wrong"), box(server))

    monitor.run()

    read = {seen.subject.mailbox: (seen.value, seen.reason, seen.detail.get("reason")) for batch in monitor.batches.values()
            for seen in batch.observations if seen.measure == "mailbox_read"}
    assert read == {"broken": (0.0, None, "auth"), "yahoo": (1.0, None, None)}
    assert monitor.counted("complaint") == 1


def test_the_run_fails_when_no_mailbox_could_be_read(server):
    monitor = Monitor(box(server, name="one", password="wrong"), box(server, name="two", folder="Nowhere"))

    with pytest.raises(CollectorError, match=r"one: .*two: ") as failure:
        monitor.run()

    assert failure.value.reason is Reason.AUTH
    assert len(monitor.batches) == 2  # both said why


def test_a_run_asked_to_stop_ends_after_the_batch_at_hand(server):
    for number in range(3):
        server.deliver(arf(number))
    monitor = Monitor(box(server), box(server, name="next"))
    monitor.stop_after = 1

    monitor.run()

    assert [key[:5] for key in monitor.offered] == ["mail:", "compl", "mailb"]
    assert monitor.cursors["yahoo"]["last_uid"] == server.messages()[0][0]


def test_evidence_is_left_out_where_it_is_not_wanted(server):
    server.deliver(arf())

    report, _ = Monitor(box(server)).run(FeedbackLoop(MailboxSettings(keep_evidence=False)))

    assert report.evidence == ()


@pytest.mark.parametrize(("results", "believed"), [
    ("mx.example.com; dkim=pass header.d=arf.mail.yahoo.com", True),
    ("mx.example.com; dkim=fail header.d=arf.mail.yahoo.com", False),
    ("mx.example.net; dkim=pass header.d=arf.mail.yahoo.com", False),
    ("mx.example.com; dkim=pass header.d=example.org", False),
    ("mx.example.com; dkim=pass header.d=yahoo.com", False),
])
def test_a_complaint_counts_only_where_its_signer_speaks_for_the_recipients_provider(server, results, believed):
    server.deliver(f"Authentication-Results: {results}\r\n".encode() + arf(token="shared"))
    monitor = Monitor(box(server))

    batch, _ = monitor.run(FeedbackLoop(MailboxSettings(authserv_id="mx.example.com")))

    assert (monitor.counted("complaint"), monitor.counted("unverified_complaint")) == (believed, not believed)
    assert (batch.parked, batch.traces[-1].verified) == ((), believed)


@pytest.mark.parametrize(("settings", "verified"), [
    ({}, False), ({"trusted_mailboxes": {"yahoo"}}, True), ({"trusted_mailboxes": {"another"}}, False),
    ({"trusted_mailboxes": {"yahoo"}, "authserv_id": "mx.example.com"}, True),
])
def test_an_unsigned_report_counts_as_verified_only_where_nobody_else_can_write(server, settings, verified):
    server.deliver(arf(token="shared"))

    report, _ = Monitor(box(server)).run(FeedbackLoop(MailboxSettings(**settings)))

    assert [trace.verified for trace in report.traces] == [verified]


@pytest.mark.real("dovecot")
@pytest.mark.skipif(not (MAILS / "MANIFEST.json").exists(),
                    reason="the labelled third-party mails are not beside this checkout")
def test_whatever_lies_in_a_mailbox_is_counted_or_parked_and_nothing_stays_behind(running_dovecot):
    running_dovecot.new_user()
    items = json.loads((MAILS / "MANIFEST.json").read_text())["items"]
    for item in items:
        running_dovecot.deliver((MAILS / item["file"]).read_bytes())
    monitor = Monitor(box(running_dovecot, done_folder="Done", parked_folder="Parked"))

    monitor.run()

    reports = sum(1 for item in items if item["type"].startswith("arf"))
    assert sum(running_dovecot.count(folder) for folder in ("Done", "Parked")) == len(items)
    assert sum(1 for key in monitor.offered if key.startswith("mail:")) >= reports
    assert 0 < monitor.counted("report") < monitor.counted("unattributed_report")  # DMARC reports are not ours either
    assert monitor.counted("complaint") == monitor.counted("hard_bounce") == monitor.counted("dmarc_fail") == 0
    assert monitor.counted("unattributed_bounce") > 0
    monitor.offered.clear()
    monitor.run()
    assert [key[:8] for key in monitor.offered] == ["mailbox:"]


def watch(monitor: Monitor, stop: threading.Event):
    collector = FeedbackLoop(MailboxSettings())
    assert isinstance(collector, Watcher)
    heard = threading.Semaphore(0)

    def run():
        for _ in collector.watch(monitor, stop):
            heard.release()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return heard, thread


def test_the_watcher_wakes_when_mail_arrives_and_stops_when_it_is_asked_to(any_server):
    stop = threading.Event()
    out_of_reach = Mailbox("other", "127.0.0.1", "fbl", PASSWORD, free_port(), "none")
    heard, thread = watch(Monitor(box(any_server), out_of_reach), stop)
    assert heard.acquire(timeout=PATIENCE_SECONDS)  # connected

    any_server.deliver(arf())
    assert heard.acquire(timeout=PATIENCE_SECONDS)

    stop.set()
    assert ended(thread)


def test_the_watcher_outlives_a_server_that_goes_away_and_hears_of_its_return(monkeypatch, caplog):
    monkeypatch.setattr(mail_source, "FIRST_PAUSE", 0.1)
    caplog.set_level(logging.CRITICAL, logger="asyncio")
    port = free_port()
    stop = threading.Event()
    heard, thread = watch(Monitor(Mailbox("late", "127.0.0.1", "fbl", PASSWORD, port, "none")), stop)
    assert not heard.acquire(timeout=0.5)

    with ImapServer("fbl", PASSWORD, port):
        assert heard.acquire(timeout=PATIENCE_SECONDS)
    with ImapServer("fbl", PASSWORD, port):
        assert heard.acquire(timeout=PATIENCE_SECONDS)

    stop.set()
    assert ended(thread)


def test_a_watcher_that_hangs_in_a_connection_still_stops():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stop = threading.Event()
        _, thread = watch(Monitor(Mailbox("mute", "127.0.0.1", "fbl", PASSWORD, silent.getsockname()[1], "none")), stop)
        connection, _ = silent.accept()
        with connection:
            stop.set()
            assert ended(thread)
