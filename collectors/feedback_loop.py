"""Feedback loops: which recipients reported our mail as unwanted, one mail per report (RFC 5965, 6449, 9477).

Asks IMAP mailboxes where mailbox providers deliver their reports. Each report becomes one batch keyed by its
content, so the same report in two folders, delivered twice or met again under a new UIDVALIDITY counts once.
A complaint is dated by the mail complained of (rates divide complaints by the mails they are about); reports
themselves are dated by receipt. What is no feedback report is parked, never dropped.

May be wrong where a provider hides the recipient, the sending IP and our identifiers alike (the report is
then counted as unattributed), and where somebody forges a report: set `authserv_id` where customers
are judged by them. What a report claims is never more than one complaint.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import time
from collections.abc import Generator, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar

from pydantic import Field

from collectors.contract import (
    Attribution,
    Clues,
    CollectorError,
    CollectorSettings,
    Context,
    Mailbox,
    Reason,
)
from collectors.doors.mailbox import Letter, MailboxDoor, arrivals
from collectors.mail import Kind, Report, parse
from collectors.mail.fields import address
from collectors.mail.original import is_redacted
from collectors.mail.report import Feedback
from collectors.observation import Batch, Evidence, Observation, Parked, Subject, Trace
from collectors.providers import provider_named, provider_of_domain
from collectors.report_sender import is_vouched_for

log = logging.getLogger(__name__)

# Which reports are a recipient's complaint. not-spam takes one back, auth-failure is a machine's word, and
# `other` may be anything: they are counted as reports only. Types outside this table as well.
COMPLAINTS: dict[str, bool] = {
    "abuse": True,
    "fraud": True,  # "report phishing"
    "virus": True,
    "opt-out": True,  # from old drafts, still sent
    "opt-out-list": True,
    "spam": True,  # X-ARF's word for abuse
    "not-spam": False,
    "auth-failure": False,
    "other": False,
}
REPORTS = frozenset({Kind.ARF, Kind.XARF})
ENVELOPE_FIELDS = ("return-path", "delivered-to", "x-original-to", "envelope-to")  # of the report itself
ID_FIELDS = ("cfbl-feedback-id", "feedback-id")
MOST_TOKENS = 32
TOKEN_LENGTH = range(3, 201)
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 900.0
PATIENCE = 1.0  # for listeners that end


class FeedbackLoopSettings(CollectorSettings):
    """`max_mails` bounds one mailbox in one run, so that a flooded one does not keep the others waiting.

    `authserv_id` is our own mail server's name in Authentication-Results; where it is set, a report whose
    sender that server did not vouch for is parked instead of counted (RFC 9477).
    """

    every: timedelta = timedelta(minutes=5)
    max_mail_bytes: int = Field(10_000_000, gt=0)
    max_mails: int = Field(10_000, gt=0)
    max_complaint_age: timedelta = timedelta(days=7)
    keep_evidence: bool = True
    authserv_id: str | None = None
    max_watched: int = Field(50, ge=0)  # mailboxes with a connection of their own waiting for news


class FeedbackLoop:
    """Every mailbox with the purpose `feedback_loop`. Acknowledge each batch before asking for the next."""

    name: ClassVar[str] = "feedback_loop"
    Settings: ClassVar[type[CollectorSettings]] = FeedbackLoopSettings
    measures: ClassVar[frozenset[str]] = frozenset(
        {"complaint", "report", "unattributed_report", "mailbox_read"})

    def __init__(self, settings: FeedbackLoopSettings) -> None:
        self.settings = settings

    def collect(self, context: Context, now: datetime) -> Iterator[Batch]:
        """One batch per mail, then one per mailbox with its cursor and whether it could be read."""
        failures: list[CollectorError] = []
        mailboxes = context.mailboxes(self.name)
        for mailbox in mailboxes:
            if context.stopping():
                return
            failure = yield from self._read(mailbox, context, now)
            if failure is not None:
                failures.append(failure)
        if mailboxes and len(failures) == len(mailboxes):
            raise CollectorError(failures[0].reason, "; ".join(failure.text for failure in failures))

    def watch(self, context: Context, stop: threading.Event) -> Iterator[None]:
        """Yields when mail arrives in any mailbox; one out of reach is tried again, ever more slowly."""
        news, ended = threading.Event(), threading.Event()
        listeners = [threading.Thread(target=listen, args=(mailbox, news, ended), daemon=True,
                                      name=f"watch-{mailbox.name}")
                     for mailbox in context.mailboxes(self.name)[:self.settings.max_watched]]
        for listener in listeners:
            listener.start()
        try:
            while not stop.is_set():
                if news.wait(0.5) and not stop.is_set():
                    news.clear()
                    yield
        finally:
            ended.set()
            ends_at = time.monotonic() + PATIENCE  # one that hangs while connecting dies with the process
            for listener in listeners:
                listener.join(max(0.0, ends_at - time.monotonic()))

    def _read(self, mailbox: Mailbox, context: Context,
              now: datetime) -> Generator[Batch, None, CollectorError | None]:
        failure: CollectorError | None = None
        door = MailboxDoor(mailbox)
        try:
            with door:
                cursor = context.cursor(mailbox.name)
                for letter in door.letters(cursor, self.settings.max_mails, self.settings.max_mail_bytes):
                    yield self._batch(letter, door, context, now)
                    if context.stopping():
                        break
        except CollectorError as error:
            failure = error
        yield Batch(
            source=self.name, key=f"mailbox:{mailbox.name}:{now.isoformat()}", at=now,
            observations=(Observation(
                "mailbox_read", Subject(collector=mailbox.name), now, None if failure else 1.0,
                reason=failure.reason if failure else None,
                detail={"text": failure.text} if failure else {}),),
            cursor_name=mailbox.name if door.uidvalidity else None,
            cursor=door.cursor if door.uidvalidity else None)
        return failure

    def _batch(self, letter: Letter, door: MailboxDoor, context: Context, now: datetime) -> Batch:
        received_at = min(letter.received_at, now)
        report = parse(letter.raw)
        identity = report.identity or hashlib.sha256(letter.raw).hexdigest()
        if refusal := self._refusal(letter, report):
            reason, text = refusal
            where = f"{door.mailbox.name}/{door.mailbox.folder}/{letter.uid}"
            # a key of its own: moved back once the cause is mended, the mail is counted after all
            return Batch(source=self.name, key=f"parked:{reason}:{identity}", at=received_at,
                         parked=(Parked(where, reason, text, letter.raw),),
                         acknowledge=partial(door.park, letter.uid))
        said = report.feedback
        assert said is not None  # _refusal has looked
        provider = provider_of(said, door.mailbox)
        whose = context.attribute(clues(report, said, provider))
        observations, trace = self._facts(said, whose, provider, received_at)
        return Batch(
            source=self.name, key=f"mail:{identity}", at=received_at,
            observations=observations, traces=(trace,),
            evidence=(Evidence("mail", received_at, letter.raw),) if self.settings.keep_evidence else (),
            acknowledge=partial(door.finish, letter.uid))

    def _refusal(self, letter: Letter, report: Report) -> tuple[Reason, str] | None:
        """Why a mail is parked instead of counted; None where it is a report to be believed."""
        if not letter.whole:
            return Reason.TOO_LARGE, f"{letter.size} bytes; only the beginning is kept"
        if report.kind == Kind.UNREADABLE or report.error is not None:
            return Reason.MALFORMED, f"{report.kind}: {report.error}"
        if report.feedback is None or report.kind not in REPORTS:
            return Reason.NO_DATA, f"{report.kind}: not a feedback report"
        server = self.settings.authserv_id
        if server and not is_vouched_for(report.report_headers, server):
            sender = report.report_headers.get("from", "a mail without sender")
            return Reason.UNVERIFIED, f"{server} does not vouch for {sender}"
        return None

    def _facts(self, said: Feedback, whose: Attribution, provider: str | None,
               received_at: datetime) -> tuple[tuple[Observation, ...], Trace]:
        """Only what is known to be ours names a series: a stranger's report must not invent IPs."""
        subject = Subject(customer=whose.customer, stream=whose.stream, campaign=whose.campaign, ip=whose.ip,
                          domain=whose.domain, provider=provider or whose.provider)
        complains = COMPLAINTS.get(said.type, False)
        at = self._complained_at(said, received_at) if complains else received_at
        observations = [Observation("report", subject, received_at, 1.0)]
        if whose.how is None:
            observations.append(Observation("unattributed_report", subject, received_at, 1.0))
        if complains and (whose.how or whose.ip or whose.domain):  # a shared IP is ours, though nobody's
            observations.append(Observation("complaint", subject, at, 1.0))
        trace = Trace("complaint" if complains else "report", at, subject,
                      recipient=whose.recipient or clear_recipient(said), message_id=said.message_id,
                      category=said.type, how=whose.how)
        return tuple(observations), trace

    def _complained_at(self, said: Feedback, received_at: datetime) -> datetime:
        """When the mail complained of arrived, if that can be believed; otherwise when the report came."""
        arrival_at = said.arrival_at or said.inferred.arrival_at
        if arrival_at and timedelta(0) <= received_at - arrival_at <= self.settings.max_complaint_age:
            return arrival_at
        return received_at


def provider_of(said: Feedback, mailbox: Mailbox) -> str | None:
    """Where the recipient's mailbox is: by the address, else by who sent the report, else by our mailbox."""
    for recipient in said.recipients:
        if found := provider_of_domain(recipient.rpartition("@")[2]):
            return found
    return provider_named(said.provider or "") or mailbox.provider


def clear_recipient(said: Feedback) -> str | None:
    """The recipient's address unless the provider blotted it out; the first where a report names several."""
    return next((recipient for recipient in said.recipients if not is_redacted(recipient)), None)


def clues(report: Report, said: Feedback, provider: str | None) -> Clues:
    """What may tell whose mail was reported, the surest first."""
    senders = (said.mail_from or "", address(report.original_headers.get("from", "")))
    domains = (*said.reported_domain, *(sender.rpartition("@")[2] for sender in senders))
    domain = next((name for name in domains if name), None)
    return Clues(tokens=tokens(report, said), headers=report.original_headers, message_id=said.message_id,
                 recipient=clear_recipient(said), source_ip=said.ip, domain=domain, provider=provider)


def tokens(report: Report, said: Feedback) -> tuple[str, ...]:
    """Candidate identifiers of ours: envelope addresses of the report, of the mail reported, then its ids.

    Of each the whole and its pieces, for `bounce+token@`, `token-user=example.org@` and `a:b:c:sender` alike.
    """
    envelopes = [report.report_headers.get(name, "") for name in ENVELOPE_FIELDS]
    envelopes += [said.mail_from or "", report.original_headers.get("return-path", "")]
    texts = [envelope.strip("<> ").rpartition("@")[0] for envelope in envelopes]
    texts += [said.feedback_id or ""]
    texts += ["".join(report.original_headers.get(name, "").split()) for name in ID_FIELDS]
    found: dict[str, None] = {}
    for pattern in (None, r"[+=:]", r"[+=:-]"):
        for text in texts:
            pieces = re.split(pattern, text) if pattern else [text]
            found.update(dict.fromkeys(piece for piece in pieces if len(piece) in TOKEN_LENGTH))
    return tuple(found)[:MOST_TOKENS]


def listen(mailbox: Mailbox, news: threading.Event, ended: threading.Event) -> None:
    """Sets `news` at each arrival until `ended`; nothing that goes wrong here ends the watch."""
    pause = FIRST_PAUSE
    while not ended.is_set():
        try:
            for _ in arrivals(mailbox, ended):
                pause = FIRST_PAUSE
                news.set()
        except CollectorError as error:
            log.warning("watching %s: %s", mailbox.name, error)
            if error.reason is Reason.AUTH:  # knocking again and again locks accounts
                pause = LONGEST_PAUSE
        except Exception:
            log.exception("watching %s", mailbox.name)
        ended.wait(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
