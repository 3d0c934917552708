"""Feedback reports: who reported a mail of ours, and of what (RFC 5965, 6449, 9477, 6591, 9991; X-ARF).

A complaint is dated by the mail complained of (rates divide complaints by the mails they are about); reports
themselves are dated by receipt. What a report claims is never more than one complaint, and one recipient
complains of one mail once, in however many reports. A report of one mail that failed DMARC is a trace: its numbers
come with the aggregate reports.

Complaints hold customers back, and anybody can write a report. So one counts as `complaint` only where it lies in a
trusted mailbox, is signed by who speaks for the recipient's mailbox provider (report_mail.reporters), or brings back our
own token; any other is an `unverified_complaint`. A token shows only that its sender once had one mail of ours: it
makes one complaint, whatever else the report says.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from collectors.contract import UNFORGEABLE, Attribution, Purpose, Reason
from collectors.mail.original import is_hashed, is_redacted
from collectors.mail.report import COMPLAINTS, Feedback
from collectors.observation import Observation
from collectors.report_mail.facts.letters import LONGEST_TEXT
from collectors.report_mail.facts.shape import Facts, Mail, Refusal
from collectors.report_mail.facts.whose import identifiers, is_ours, message_id, subject
from collectors.traces import TraceKind


def feedback(mail: Mail) -> Facts | Refusal:
    """One report of ARF, JMRP or X-ARF; to an abuse address it is to be answered, too."""
    stated = mail.report.feedback
    if stated is None:
        return Refusal(Reason.NO_DATA, f"{mail.report.kind}: it reports no mail")
    received_at = mail.arrival.received_at
    recipient, provider = clear_recipient(stated), provider_at(mail, stated)
    whose = mail.attribute(identifiers(mail.report, recipient=recipient, provider=provider))
    about = subject(whose, provider)
    observations = [Observation("report", about, received_at, 1.0)]
    if whose.how is None:
        observations.append(Observation("unattributed_report", about, received_at, 1.0))
    complains = COMPLAINTS.get(stated.type, False)
    once = (_complaint(mail, stated, whose, provider),) if complains else ()
    traces = []
    if not complains:
        traces.append(mail.trace(TraceKind.REPORT, whose, about, category=stated.type, recipient=whose.recipient or recipient,
                                 message_id=message_id(mail.report)))
    if mail.arrival.purpose == Purpose.ABUSE:
        traces.append(mail.trace(TraceKind.ABUSE_REPORT, whose, about, category=stated.type, message_id=message_id(mail.report),
                                 text=mail.report.report_headers.get("subject", "")[:LONGEST_TEXT] or None))
    return Facts(tuple(observations), tuple(traces), once=once)


def _complaint(mail: Mail, stated: Feedback, whose: Attribution, provider: str | None) -> Facts:
    """The complaint itself, under the key of its recipient and mail."""
    about = subject(whose, provider)
    known_source = mail.arrival.trusted or mail.is_of_reporter(about.provider)
    believed = known_source or whose.how in UNFORGEABLE
    measure = "complaint" if believed else "unverified_complaint"
    at = complained_at(stated, mail.arrival.received_at, mail.settings.max_complaint_age)
    recipient = clear_recipient(stated)
    trace = mail.trace(TraceKind.COMPLAINT, whose, about, at=at, category=stated.type, recipient=whose.recipient or recipient,
                       message_id=message_id(mail.report), verified=believed)
    named = _mail_and_recipient(mail, stated, whose, by_token=believed and not known_source)
    digest = hashlib.sha256("\0".join(named).encode("utf-8", "surrogatepass")).hexdigest()
    counts = (Observation(measure, about, at, 1.0),) if is_ours(whose) else ()
    return Facts(counts, (trace,), key=f"{measure}:{digest}")


def _mail_and_recipient(mail: Mail, stated: Feedback, whose: Attribution, *, by_token: bool) -> tuple[str, ...]:
    """What makes two reports the same complaint; where a report hides one of the two, each report is its own."""
    if by_token:  # only what the token itself says: the rest of the report may be made up
        return ("token", *(part or "" for part in (whose.customer, whose.stream, whose.campaign, whose.recipient_ref)))
    hashed = next(filter(is_hashed, stated.recipients), None)
    recipient = clear_recipient(stated) or whose.recipient_ref or whose.recipient_hash or hashed
    message = message_id(mail.report)
    if not recipient or not message:
        return ("report", mail.report.identity)
    return ("mail", recipient.lower(), message.strip("<> "))


def dmarc_failure(mail: Mail) -> Facts | Refusal:
    """One mail that failed DMARC; often somebody else's under our name."""
    stated = mail.report.feedback or Feedback(type="auth-failure")
    recipient, provider = clear_recipient(stated), provider_at(mail, stated)
    whose = mail.attribute(identifiers(mail.report, recipient=recipient, provider=provider))
    text = ", ".join(f"{name} {value}" for name, value in (
        ("from", stated.ip), ("failed", stated.auth_failure), ("alignment", stated.identity_alignment),
        ("delivery", stated.delivery_result)) if value)
    trace = mail.trace(TraceKind.DMARC_FAILURE, whose, subject(whose, provider), category=stated.type, text=text or None,
                       recipient=whose.recipient or recipient, message_id=message_id(mail.report))
    return Facts(traces=(trace,))


def complained_at(stated: Feedback, received_at: datetime, max_age: timedelta) -> datetime:
    """When the mail complained of arrived, if that can be believed; otherwise when the report came."""
    arrival_at = stated.arrival_at or stated.inferred.arrival_at
    if arrival_at and timedelta(0) <= received_at - arrival_at <= max_age:
        return arrival_at
    return received_at


def provider_at(mail: Mail, stated: Feedback) -> str | None:
    """Where the recipient's mailbox is: by the address, else by who sent the report, else by our mailbox."""
    domains = (recipient.rpartition("@")[2] for recipient in stated.recipients)
    return mail.providers.of(*domains, stated.provider) or mail.arrival.provider


def clear_recipient(stated: Feedback) -> str | None:
    """The recipient's address unless the provider masked it; the first where a report names several."""
    return next((recipient for recipient in stated.recipients if not is_redacted(recipient)), None)
