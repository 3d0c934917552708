"""Bounces: which recipients could not be reached, and why (RFC 3464, 3463 and what is written without them).

One fact per recipient. Dated by receipt: a notification is written when the last attempt has failed. Only
what failed is a bounce, what is delayed is a deferral, and word of success is none of both.

May be wrong where the same failure is also in our MTA's records (point only mailboxes with the bounces of
*remote* servers here, or leave the records out), and where somebody forges a bounce: nothing signs
one. A bounce of a mail that was not ours (backscatter) is counted apart and names no series.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from collectors.contract import Reason
from collectors.mail import original
from collectors.mail.mime import Headers
from collectors.mail.original import is_redacted
from collectors.mail.report import Recipient
from collectors.observation import Observation, Subject, Trace
from collectors.replies.judgement_table import Category
from collectors.report_mail.facts.shape import Facts, Mail, Refusal
from collectors.report_mail.facts.whose import OTHER, identifiers, is_ours, message_id, subject
from collectors.traces import TraceKind

# Why a recipient was given up → what is counted. One that is dead for good (`hard`) is a hard bounce instead.
MEASURE_OF: dict[Category, str] = {
    Category.INVALID_RECIPIENT: "soft_bounce",  # said with 4xx, so perhaps only for now
    Category.DOMAIN_NOT_FOUND: "soft_bounce",
    Category.MAILBOX_FULL: "soft_bounce",
    Category.DISABLED: "soft_bounce",
    Category.POLICY: "block",
    Category.REPUTATION_IP: "block",
    Category.REPUTATION_DOMAIN: "block",
    Category.CONTENT: "block",
    Category.AUTHENTICATION: "block",
    Category.RATE_LIMITED: "block",  # given up over it: more than a moment's slowness
    Category.GREYLISTED: "soft_bounce",
    Category.TOO_BIG: "soft_bounce",
    Category.PROTOCOL: "soft_bounce",
    Category.NETWORK: "soft_bounce",
    Category.RELAYING: "soft_bounce",
    Category.EXPIRED: "soft_bounce",
    Category.USER_BLOCKED: "soft_bounce",  # the recipient's own list, not the provider's judgement
    Category.VACATION: "autoreply",
    Category.UNKNOWN: "soft_bounce",
}
TRACE_OF = {
    "hard_bounce": TraceKind.BOUNCE, "soft_bounce": TraceKind.BOUNCE, "block": TraceKind.BLOCK,
    "deferral": TraceKind.DEFERRAL,
}  # fmt: skip
LONGEST_TEXT = 1_000


def measure_of(recipient: Recipient) -> str | None:
    """What became of a recipient as a measure; None where nothing failed."""
    if recipient.action == "delayed":
        return "deferral"
    if recipient.action != "failed":
        return None
    return "hard_bounce" if recipient.hard else MEASURE_OF[Category(recipient.judgement.category)]


def sent_from(mail: Mail) -> str | None:
    """The IP the returned mail was received from, where its header came back; perhaps not one of ours."""
    headers = mail.report.original_headers
    return original.source_ip(headers.part) if isinstance(headers, Headers) else None


def provider_at(mail: Mail, recipient: Recipient) -> str:
    """Where the recipient's mailbox is: by the address, else by the host that refused it, else by its words."""
    known = mail.providers
    return (known.of(recipient.address.rpartition("@")[2]) or known.of_mx(recipient.remote_mta or "")
            or known.of(recipient.judgement.provider) or OTHER)


def bounce(mail: Mail) -> Facts | Refusal:
    """Every recipient a notification names."""
    if not mail.report.recipients:
        return Refusal(Reason.NO_DATA, f"{mail.report.kind}: it names no recipient")
    ip = sent_from(mail)
    of_mail = identifiers(mail.report)  # the same for each recipient, of whom there may be thousands
    counts: Counter[tuple[str, Subject]] = Counter()
    traces: list[Trace] = []
    for recipient in mail.report.recipients:
        measure = measure_of(recipient)
        if measure is None:
            continue
        provider = provider_at(mail, recipient)
        address = None if is_redacted(recipient.address) else recipient.address
        source_ip = of_mail.source_ip or ip or recipient.judgement.scope.get("ip")
        whose = mail.attribute(replace(of_mail, recipient=address, source_ip=source_ip, provider=provider))
        about = subject(whose, provider)
        counts[measure if is_ours(whose) else "unattributed_bounce", about] += 1
        if measure in TRACE_OF:
            traces.append(mail.trace(
                TRACE_OF[measure], whose, about, recipient=address, message_id=message_id(mail.report),
                category=recipient.judgement.category, status=recipient.judgement.status or recipient.status,
                reply_code=recipient.judgement.reply_code, text=recipient.diagnostic[:LONGEST_TEXT] or None, hard=recipient.hard,
                verified=mail.is_of_mail_system(address)))
    return Facts(tuple(Observation(measure, about, mail.arrival.received_at, float(count))
                      for (measure, about), count in counts.items()), tuple(traces))
