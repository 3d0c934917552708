"""What an outsider needs to pause a customer (SECURITY.md), tried against a whole service: who can only write mail holds nobody."""

import shutil
from contextlib import closing
from datetime import UTC, datetime

import httpx
from sqlmodel import col, func, select

from monitor.database.tables import Reading, Series, Suppression, TraceRow
from monitor.demo.world import Mailing, feedback_report
from monitor.intake.consequences import open_store
from tests.waiting import eventually

BOLT = Mailing("bolt", "newsletter", "bolt.example", ("192.0.2.8",), 400)
OURS = "mx.vigie.example"  # writes Authentication-Results at the top of what comes in
YAHOO = f"Authentication-Results: {OURS}; dkim=pass header.d=arf.mail.yahoo.com"
EVIL = f"Authentication-Results: {OURS}; dkim=pass header.d=evil.example"
NOTHING = f"Authentication-Results: {OURS}; dkim=none"
MANY = 20  # far beyond the limit of 0.3 % of 1,000 delivered
BOUNCE = """\
From: MAILER-DAEMON@evil.example
To: bounce@bolt.example
Subject: Undelivered Mail Returned to Sender
Message-ID: <bounce@evil.example>
Content-Type: multipart/report; report-type=delivery-status; boundary=x

--x
Content-Type: message/delivery-status

Reporting-MTA: dns; evil.example

Final-Recipient: rfc822; reader1@yahoo.com
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such user

--x--
"""


class Attack:
    """Reports of the form the providers send, each with what our own server found at its top."""

    def __init__(self, world):
        self.world, self.serial = world, 0

    def reports(self, *above, recipient=None, sender=None, alike=False):
        """`alike`: all about the same mail to the same recipient."""
        for _ in range(MANY):
            self.serial += 1
            report = feedback_report(BOLT, "192.0.2.8", 0 if alike else self.serial, datetime.now(UTC))
            report = report.replace(b"<report-0@", f"<report-{self.serial}@".encode())
            if recipient is not None:
                report = report.replace(f"reader{self.serial}@yahoo.com".encode(), recipient(self.serial).encode())
            if sender is not None:
                report = report.replace(b"feedback@arf.mail.yahoo.com", sender)
            self.world.mailbox.deliver("".join(f"{each}\r\n" for each in above).encode() + report)

    def mail(self, *above, text):
        self.world.mailbox.deliver("\r\n".join((*above, *text.splitlines(), "")).encode())


def total(store, measure):
    with store.reading_session() as session:
        query = select(func.sum(Reading.value)).join(Series, Series.id == Reading.series_id)
        return session.exec(query.where(Series.measure == measure)).one() or 0


def bounces(store):
    with store.reading_session() as session:
        return session.exec(select(func.count()).where(col(TraceRow.kind).like("%bounce%"))).one()


def suppressed(store):
    with store.reading_session() as session:
        readers = (f"reader{number}@yahoo.com" for number in range(9 * MANY))
        known = {store.recipient_ref("bolt", reader): reader for reader in readers}
        return [known[row.recipient_ref] for row in session.exec(select(Suppression))]


def judged_since(world, at):
    """Whether the rule was judged after this instant."""
    (rule,) = (each for each in world.client.get("/v1/rules").json() if each["id"] == "complaint-rate")
    return datetime.fromisoformat(rule["judged_at"]) > at


def held(world):
    return [row["scope"] for row in world.client.get("/v1/suspensions").json() if row["lifted_at"] is None]


def begun(make_world, migrated_file, tmp_path):
    """A service whose mailbox anybody can write to, and what it delivered of Bolt's newsletter."""
    url = f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'vigie.sqlite')}"
    world = make_world(url, forked=True)
    config = world.service.config
    config.write_text(config.read_text().replace("trusted_mailboxes: [loop]", f"authserv_id: {OURS}"))
    world.start()
    delivered = {"at": datetime.now(UTC).isoformat(), "customer": "bolt", "stream": "newsletter", "ip": "192.0.2.8",
                 "domain": "bolt.example", "recipient_domain": "yahoo.com", "outcome": "delivered", "count": 1_000}
    assert httpx.post(f"{world.service.url}/v1/events/generic", json=[delivered]).status_code == 401
    assert httpx.post(f"{world.service.url}/v1/suspensions", json={"scope": {"customer": "bolt"}}).status_code == 401
    world.client.post("/v1/events/generic", json=[delivered]).raise_for_status()
    return url, world


def test_who_can_only_write_mail_holds_nobody_and_suppresses_nobody(make_world, migrated_file, tmp_path):
    url, world = begun(make_world, migrated_file, tmp_path)
    attack = Attack(world)

    attack.reports()  # nobody vouches for them
    attack.reports(NOTHING, YAHOO)  # an outsider wrote the second line itself
    attack.reports(YAHOO.replace(OURS, "mx.evil.example"))  # another server says so
    attack.reports(EVIL)  # signed, by whom does not speak for the recipients
    attack.reports(YAHOO.replace("arf.mail.", ""))  # signed as Yahoo signs the mail of its users
    attack.reports(YAHOO, alike=True)  # vouched for, but one recipient about one mail: counts once
    attack.mail(EVIL, text=BOUNCE)
    # whoever has an address at Yahoo has Yahoo's signature under its mails
    attack.reports(YAHOO.replace("arf.mail.", ""), sender=b"anybody@yahoo.com")
    attack.mail(YAHOO.replace("arf.mail.", ""), text=BOUNCE.replace("MAILER-DAEMON@evil.example", "anybody@yahoo.com").replace("<bounce@", "<2@"))
    with closing(open_store(url)) as store:
        eventually(lambda: total(store, "unverified_complaint") + total(store, "complaint") >= 6 * MANY + 1)
        eventually(lambda: bounces(store) == 2)
        assert (total(store, "complaint"), total(store, "unverified_complaint")) == (1, 6 * MANY)
        assert suppressed(store) == ["reader0@yahoo.com"]  # who complained indeed
    known_at = datetime.now(UTC)
    eventually(lambda: judged_since(world, known_at))
    assert held(world) == []

    attack.reports(YAHOO)  # MANY recipients, vouched for: what it takes, and the proof that this test would show it
    eventually(lambda: held(world) == [{"customer": "bolt", "stream": "newsletter"}])


def test_who_owns_a_domain_that_was_mailed_complains_from_there_without_effect(make_world, migrated_file, tmp_path):
    url, world = begun(make_world, migrated_file, tmp_path)
    attack = Attack(world)
    attack.reports(EVIL, recipient=lambda serial: f"reader{serial}@evil.example", sender=b"feedback@evil.example")
    with closing(open_store(url)) as store:
        eventually(lambda: total(store, "unverified_complaint") + total(store, "complaint") >= MANY)
        assert (total(store, "complaint"), total(store, "unverified_complaint")) == (0, MANY)
        assert suppressed(store) == []
    known_at = datetime.now(UTC)
    eventually(lambda: judged_since(world, known_at))
    assert held(world) == []
