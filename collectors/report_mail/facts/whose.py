"""What in a mail may show whose it was: the identifiers handed to the inventory, and the subject made of its answer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain

from collectors.contract import Attribution, Identifiers
from collectors.dimensions import Use, names
from collectors.mail import Kind, Report
from collectors.mail.fields import address
from collectors.mail.report import Feedback
from collectors.observation import Subject

ENVELOPE_FIELDS = ("return-path", "delivered-to", "x-original-to", "envelope-to")  # of the mail that came
RETURNED_TO = ("return-path", "x-postfix-sender")  # of the mail it is about
ID_FIELDS = ("cfbl-feedback-id", "feedback-id")
# What answers a mail of ours is addressed to a return path or an unsubscribe address of ours; a feedback
# report goes where the provider was asked to send all of them.
ANSWERS = frozenset({Kind.DSN, Kind.BOUNCE, Kind.AUTOREPLY, Kind.UNSUBSCRIBE})
OTHER = "other"  # all providers without a name together, as in what senders report
MOST_TOKENS = 32
TOKEN_LENGTH = range(3, 201)
_BETWEEN = (re.compile(r"[+=:]"), re.compile(r"[+=:-]"))
_NOTHING = Feedback(type="")


def identifiers(report: Report, *, recipient: str | None = None, ip: str | None = None,
          provider: str | None = None) -> Identifiers:
    """What may show whose mail it was, the surest first."""
    stated = report.feedback or _NOTHING
    headers = report.original_headers
    senders = [stated.mail_from or "", *(address(headers.get(name, "")) for name in ("from", *RETURNED_TO))]
    if report.kind in ANSWERS:
        senders.append(address(report.report_headers.get("to", "")))
    domains = (*stated.reported_domain, *(sender.rpartition("@")[2] for sender in senders))
    return Identifiers(
        tokens=tokens(report), headers=headers, message_id=message_id(report), recipient=recipient,
        source_ip=stated.ip or ip, domain=next((name for name in domains if name), None), provider=provider)


def message_id(report: Report) -> str | None:
    """Of the mail it is about; no database looks up a text with a NUL in it."""
    stated = report.feedback or _NOTHING
    value = stated.message_id or report.original_headers.get("message-id")
    return value and value.replace("\0", "")


def tokens(report: Report) -> tuple[str, ...]:
    """Candidate identifiers of ours: envelope addresses of the report, of the mail it is about, then its ids.

    Of each the whole and its pieces, for `bounce+token@`, `token-user=example.org@` and `a:b:c:sender` alike.
    """
    stated = report.feedback or _NOTHING
    texts = [_local_part(envelope) for envelope in _envelopes(report, stated)]
    if report.kind is Kind.UNSUBSCRIBE:  # mailto:…?subject=token (RFC 2369)
        texts += report.report_headers.get("subject", "").split()
    texts += [stated.feedback_id or ""]
    texts += ["".join(report.original_headers.get(name, "").split()) for name in ID_FIELDS]
    texts = [text for text in texts if text]
    pieces = chain(texts, *(pattern.split(text) for pattern in _BETWEEN for text in texts))
    return tuple(dict.fromkeys(piece for piece in pieces if len(piece) in TOKEN_LENGTH))[:MOST_TOKENS]


def _envelopes(report: Report, stated: Feedback) -> Iterable[str]:
    to_us = (*ENVELOPE_FIELDS, "to") if report.kind in ANSWERS else ENVELOPE_FIELDS
    yield from (report.report_headers.get(name, "") for name in to_us)
    yield stated.mail_from or ""
    yield from (report.original_headers.get(name, "") for name in RETURNED_TO)


def _local_part(envelope: str) -> str:
    return (address(envelope) or envelope.strip("<> ")).rpartition("@")[0]


def is_ours(whose: Attribution) -> bool:
    """Whether anything in it is known to be ours; a shared IP is, though nobody's."""
    return bool(whose.how or whose.ip or whose.domain)


def subject(whose: Attribution, provider: str | None) -> Subject:
    """Only what is known to be ours names a series: a stranger's mail must not invent IPs."""
    known = {name: getattr(whose, name) for name in names(Use.TRACE)}
    return Subject(**known | {"provider": provider or whose.provider})
