"""Every kind of trace: what a fact about one message or recipient says. A new kind is a word and a row here."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class TraceKind(enum.StrEnum):
    DELIVERY = "delivery"
    BOUNCE = "bounce"
    DEFERRAL = "deferral"
    BLOCK = "block"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    REPORT = "report"
    DMARC_FAILURE = "dmarc_failure"
    TLS_FAILURE = "tls_failure"
    ABUSE_LETTER = "abuse_letter"
    ABUSE_REPORT = "abuse_report"


@dataclass(frozen=True, slots=True)
class TraceMeaning:
    """`recipient`: it is about one recipient of ours, who may have to be suppressed for it (monitor.suppressions).
    `case`: somebody has to deal with it, so it becomes an abuse case (monitor.abuse).
    """

    kind: TraceKind
    meaning: str
    recipient: bool = False
    case: bool = False


TRACE_KINDS: dict[TraceKind, TraceMeaning] = {
    row.kind: row
    for row in (
        TraceMeaning(TraceKind.DELIVERY, "the provider took the message over (2xx)", recipient=True),
        TraceMeaning(TraceKind.BOUNCE, "the recipient was given up, for good or after trying long", recipient=True),
        TraceMeaning(TraceKind.DEFERRAL, "an attempt was put off (4xx)", recipient=True),
        TraceMeaning(TraceKind.BLOCK, "refused for reputation or policy", recipient=True),
        TraceMeaning(TraceKind.COMPLAINT, "the recipient complained of the message", recipient=True),
        TraceMeaning(TraceKind.UNSUBSCRIBE, "the recipient asked to be left out", recipient=True),
        TraceMeaning(TraceKind.REPORT, "a feedback report that is no complaint (not-spam, auth-failure)", recipient=True),
        TraceMeaning(TraceKind.DMARC_FAILURE, "one message under a name of ours failed DMARC", recipient=True),
        TraceMeaning(TraceKind.TLS_FAILURE, "sessions to a domain of ours that were not encrypted as its policy asks"),
        TraceMeaning(TraceKind.ABUSE_LETTER, "somebody wrote to our abuse address", case=True),
        TraceMeaning(TraceKind.ABUSE_REPORT, "a machine reported to our abuse address", case=True),
    )
}
