"""Feedback reports: who reported a mail of ours, and of what (RFC 5965, 6449, 9477, 6591, 9991; X-ARF).

A complaint is dated by the mail complained of (rates divide complaints by the mails they are about); reports
themselves are dated by receipt. What a report claims is never more than one complaint. A report of one mail
that failed DMARC is a trace: its numbers come with the aggregate reports.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from collectors.contract import Reason
from collectors.mail.original import is_redacted
from collectors.mail.report import Feedback
from collectors.observation import Observation
from collectors.report_mail.facts.letters import ABUSE, LONGEST_TEXT
from collectors.report_mail.facts.shape import Mail, Refusal, Said
from collectors.report_mail.facts.whose import clues, is_ours, message_id, provider_of, subject

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


def feedback(mail: Mail) -> Said | Refusal:
    """One report of ARF, JMRP or X-ARF; to the abuse desk it is to be answered, too."""
    said = mail.report.feedback
    if said is None:
        return Refusal(Reason.NO_DATA, f"{mail.report.kind}: it reports no mail")
    received_at = mail.arrival.received_at
    recipient, provider = clear_recipient(said), provider_at(mail, said)
    whose = mail.attribute(clues(mail.report, recipient=recipient, provider=provider))
    about = subject(whose, provider)
    complains = COMPLAINTS.get(said.type, False)
    at = complained_at(said, received_at, mail.settings.max_complaint_age) if complains else received_at
    observations = [Observation("report", about, received_at, 1.0)]
    if whose.how is None:
        observations.append(Observation("unattributed_report", about, received_at, 1.0))
    if complains and is_ours(whose):
        observations.append(Observation("complaint", about, at, 1.0))
    trace = mail.trace("complaint" if complains else "report", whose, about, at=at, category=said.type,
                       recipient=whose.recipient or recipient, message_id=message_id(mail.report))
    if mail.arrival.purpose != ABUSE:
        return Said(tuple(observations), (trace,))
    asked = mail.trace("abuse_report", whose, about, category=said.type, message_id=message_id(mail.report),
                       text=mail.report.report_headers.get("subject", "")[:LONGEST_TEXT] or None)
    return Said(tuple(observations), (trace, asked))


def dmarc_failure(mail: Mail) -> Said | Refusal:
    """One mail that failed DMARC; often somebody else's under our name."""
    said = mail.report.feedback or Feedback(type="auth-failure")
    recipient, provider = clear_recipient(said), provider_at(mail, said)
    whose = mail.attribute(clues(mail.report, recipient=recipient, provider=provider))
    text = ", ".join(f"{name} {value}" for name, value in (
        ("from", said.ip), ("failed", said.auth_failure), ("alignment", said.identity_alignment),
        ("delivery", said.delivery_result)) if value)
    trace = mail.trace("dmarc_failure", whose, subject(whose, provider), category=said.type, text=text or None,
                       recipient=whose.recipient or recipient, message_id=message_id(mail.report))
    return Said(traces=(trace,))


def complained_at(said: Feedback, received_at: datetime, max_age: timedelta) -> datetime:
    """When the mail complained of arrived, if that can be believed; otherwise when the report came."""
    arrival_at = said.arrival_at or said.inferred.arrival_at
    if arrival_at and timedelta(0) <= received_at - arrival_at <= max_age:
        return arrival_at
    return received_at


def provider_at(mail: Mail, said: Feedback) -> str | None:
    """Where the recipient's mailbox is: by the address, else by who sent the report, else by our mailbox."""
    domains = (recipient.rpartition("@")[2] for recipient in said.recipients)
    return provider_of(*domains, said.provider) or mail.arrival.provider


def clear_recipient(said: Feedback) -> str | None:
    """The recipient's address unless the provider blotted it out; the first where a report names several."""
    return next((recipient for recipient in said.recipients if not is_redacted(recipient)), None)
