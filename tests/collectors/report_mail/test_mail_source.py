"""Mailboxes of every purpose, read into a real store; and one mail that comes by every way there is."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlmodel import func, select

from collectors import BUILT_IN, discover
from collectors.contract import Watcher
from collectors.report_mail.facts import PURPOSES
from collectors.report_mail.mail_drop import MailDrop, MailDropSettings
from monitor.database.tables import (
    Customer,
    EvidenceRow,
    ParkedRow,
    Reading,
    ReportMailbox,
    SendingDomain,
    Series,
    TraceRow,
)
from monitor.facts import Store
from monitor.intake.context import RunContext
from monitor.intake.mail import HandedMail
from monitor.intake.run import Runner, Tally
from tests.places import MAIL_CASES
from tests.servers.dovecot import Dovecot

SECRETS = {"box": SecretStr(Dovecot.password)}


def case(name: str) -> bytes:
    (message,) = (MAIL_CASES / name).glob("message.*")
    return message.read_bytes()


def register(store: Store, server, *boxes: tuple[str, str, str], **changes) -> None:
    """Put these mailboxes (name, purpose, folder) into the inventory, beside what Acme and Bolt send from."""
    with store.session() as session:
        session.add_all([Customer(id="acme", name="Acme"), Customer(id="bolt", name="Bolt")])
        session.flush()
        session.add_all([SendingDomain(domain="acme.example.net", customer="acme"),
                         SendingDomain(domain="bolt.example.org", customer="bolt")])
        session.add_all([ReportMailbox(
            name=name, purpose=purpose, folder=folder, host="127.0.0.1", port=server.port, tls="none",
            username=server.user, secret="box", **changes) for name, purpose, folder in boxes])


def run(store: Store, name: str, minute: int = 0, collector=None) -> Tally:
    now = datetime.now(UTC) + timedelta(seconds=10, minutes=minute)  # servers and files are dated by the real clock
    collector = collector or discover()[name](discover()[name].Settings())
    context = RunContext(store, name, SECRETS, threading.Event(), now)
    return Runner(store, lambda batches: store.intake(batches, now), lambda: now).run(collector, context)


def counts(store: Store) -> dict[tuple[str, str | None], float]:
    query = (select(Series.measure, Series.customer, func.sum(Reading.value))
             .join(Series, Series.id == Reading.series_id).group_by(Series.measure, Series.customer))
    with store.reading_session() as session:
        return {(measure, customer): value for measure, customer, value in session.exec(query)
                if measure != "mailbox_read"}


def rows(store: Store, table) -> list:
    with store.reading_session() as session:
        return list(session.exec(select(table).order_by(table.id)))


def test_each_purpose_has_its_collector_and_each_of_them_watches():
    assert set(PURPOSES) < BUILT_IN.keys()
    assert all(isinstance(discover()[name](discover()[name].Settings()), Watcher) for name in PURPOSES)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_mailbox_of_any_purpose_takes_every_kind_of_mail(store, server, purpose):
    register(store, server, ("box", purpose, "INBOX"), done_folder="Done", parked_folder="Parked")
    for name in ("dsn-two-recipients-xtext", "dmarc-gzip-attached", "tlsrpt-gzip-in-mail", "arf-as-in-rfc5965",
                 "unsubscribe-by-mail-program", "autoreply-out-of-office", "dmarc-failure-rfc9991",
                 "abuse-letter-is-other"):
        server.deliver(case(name))

    tally = run(store, purpose)

    assert counts(store) == {
        ("hard_bounce", "acme"): 1, ("deferral", "acme"): 1, ("dmarc_pass", "acme"): 120, ("dmarc_fail", "acme"): 3,
        ("tls_success", "bolt"): 47, ("tls_failure", "bolt"): 2, ("report", "acme"): 1,
        ("unverified_complaint", "acme"): 1, ("unsubscribe", "acme"): 1, ("autoreply", "acme"): 1}
    letters = [trace.kind for trace in rows(store, TraceRow)].count("abuse_letter")
    assert (letters, tally.parked) == ((1, 0) if purpose == "abuse" else (0, 1))
    assert len(server.messages()) == 0
    assert len(server.messages("Parked")) == len(rows(store, ParkedRow)) == tally.parked
    assert (rows(store, EvidenceRow) == []) is (purpose == "bounces")


def test_one_bounce_by_every_way_there_is_counts_once(any_server, store, tmp_path):
    raw = case("dsn-two-recipients-xtext")
    for folder in ("INBOX", "INBOX", "Copies"):
        any_server.deliver(raw, folder)
    register(store, any_server, ("returns", "bounces", "INBOX"), ("copies", "feedback_loop", "Copies"))
    run(store, "bounces")
    run(store, "feedback_loop", 1)
    any_server.renumber()
    assert run(store, "bounces", 2).repeats >= 1

    now = datetime.now(UTC)
    handed = HandedMail(store, {}, SECRETS, lambda: now)
    _, posted = handed.read(raw.replace(b"\n", b"\r\n"), "returns", "posted", now)
    (taken,) = store.intake(posted, now)
    assert not taken.new

    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "1.eml").write_bytes(raw)
    folder = {"name": "drop", "path": tmp_path / "drop", "kind": "files", "purpose": "abuse"}
    assert run(store, "mail_drop", 3, MailDrop(MailDropSettings(folders=[folder]))).repeats == 1

    assert counts(store) == {("hard_bounce", "acme"): 1, ("deferral", "acme"): 1}
    assert [trace.kind for trace in rows(store, TraceRow)] == ["bounce", "deferral"]


def test_one_dmarc_report_in_several_wrappings_and_mailboxes_counts_once(store, server):
    for folder, name in (("INBOX", "dmarc-gzip-attached"), ("INBOX", "dmarc-octet-stream-without-a-name"),
                         ("Other", "dmarc-zip-is-the-whole-body")):
        server.deliver(case(name), folder)
    register(store, server, ("rua", "dmarc_reports", "INBOX"), ("rua2", "dmarc_reports", "Other"))

    tally = run(store, "dmarc_reports")

    assert counts(store) == {("dmarc_pass", "acme"): 120, ("dmarc_fail", "acme"): 3}
    assert tally.repeats == 2


def test_the_cursor_of_each_mailbox_is_kept_under_its_collector(store, any_server):
    any_server.deliver(case("bounce-qmail"))
    register(store, any_server, ("returns", "bounces", "INBOX"))
    run(store, "bounces")

    assert store.cursor("bounces", "returns")["last_uid"] >= 0
    assert run(store, "bounces", 1).batches == 1  # nothing but that it was read


def test_a_mail_parked_in_one_mailbox_is_parked_once(store, server):
    for folder in ("INBOX", "Copies"):
        server.deliver(case("unreadable-no-mail"), folder)
    register(store, server, ("one", "bounces", "INBOX"), ("two", "bounces", "Copies"))

    run(store, "bounces")

    [parked] = rows(store, ParkedRow)
    assert (parked.reason, parked.place.split("/")[0]) == ("malformed", "one")
