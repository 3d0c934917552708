"""Mails of people and of their machines: requests to be left out, absence notes, letters to an abuse address."""

from __future__ import annotations

from collectors.contract import Purpose, Reason
from collectors.mail.fields import address
from collectors.observation import Observation
from collectors.report_mail.facts.shape import Facts, Mail, Refusal
from collectors.report_mail.facts.whose import OTHER, identifiers, subject
from collectors.traces import TraceKind

LONGEST_TEXT = 200


def unsubscribe(mail: Mail) -> Facts | Refusal:
    """A recipient who asked to be left out (RFC 2369)."""
    sender = address(mail.report.report_headers.get("from", "")) or None
    provider = mail.providers.of((sender or "").rpartition("@")[2]) or OTHER
    whose = mail.attribute(identifiers(mail.report, recipient=sender, provider=provider))
    about = subject(whose, provider)
    trace = mail.trace(TraceKind.UNSUBSCRIBE, whose, about, recipient=sender)
    return Facts((Observation("unsubscribe", about, mail.arrival.received_at, 1.0),), (trace,))


def autoreply(mail: Mail) -> Facts | Refusal:
    """Counted and nothing else: who is away is nobody's business."""
    about = subject(mail.attribute(identifiers(mail.report)), None)
    return Facts((Observation("autoreply", about, mail.arrival.received_at, 1.0),), as_evidence=False)


def letter(mail: Mail) -> Facts | Refusal:
    """Somebody writes: to an abuse address it is a letter to be answered, anywhere else nobody expects it."""
    if mail.arrival.purpose != Purpose.ABUSE:
        return Refusal(Reason.NO_DATA, "other: no report, bounce or request")
    headers = mail.report.report_headers
    whose = mail.attribute(identifiers(mail.report))
    trace = mail.trace(TraceKind.ABUSE_LETTER, whose, subject(whose, None), message_id=headers.get("message-id"),
                       text=headers.get("subject", "")[:LONGEST_TEXT] or None)
    return Facts(traces=(trace,))
