"""What a mail says as facts: one way for every mail, from whichever mailbox, folder or request it came.

Any mailbox may receive anything: a bounce in the feedback-loop mailbox is a bounce. The kind of a mail decides
how it is read; where it was found only tells the provider and, for letters, whether anybody is to answer.
What cannot be used is parked with its reason, never dropped.

The key of a batch is the content of the mail (or what names the report in it) and its source is always
`mail`: so the same mail counts once, whether it is delivered twice, copied to another folder, posted and
fetched, or met again after a crash.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from datetime import datetime
from typing import get_args

from collectors.contract import Attribution, Clues, Purpose, Reason
from collectors.mail import Kind, Report, parse
from collectors.mail.mime import head
from collectors.mail.original import infer
from collectors.mail.times import moment
from collectors.observation import Batch, Evidence, Parked
from collectors.report_mail.facts.aggregates import dmarc, tls
from collectors.report_mail.facts.complaints import dmarc_failure, feedback
from collectors.report_mail.facts.failures import bounce
from collectors.report_mail.facts.letters import autoreply, letter, unsubscribe
from collectors.report_mail.facts.shape import Arrival, Attribute, Mail, MailSettings, Refusal, Said
from collectors.report_mail.report_sender import is_vouched_for

__all__ = ["MEASURES", "PURPOSES", "SOURCE", "Arrival", "Attribute", "MailSettings", "arrived_at", "facts", "read"]

log = logging.getLogger(__name__)

SOURCE = "mail"
PURPOSES: tuple[str, ...] = get_args(Purpose)
MEASURES = frozenset({
    "complaint", "report", "unattributed_report", "hard_bounce", "soft_bounce", "deferral", "block",
    "unattributed_bounce", "dmarc_pass", "dmarc_fail", "tls_success", "tls_failure", "unsubscribe", "autoreply",
})
READERS: dict[Kind, Callable[[Mail], Said | Refusal]] = {
    Kind.ARF: feedback,
    Kind.XARF: feedback,
    Kind.DSN: bounce,
    Kind.BOUNCE: bounce,
    Kind.DMARC_AGGREGATE: dmarc,
    Kind.DMARC_FAILURE: dmarc_failure,
    Kind.TLS_REPORT: tls,
    Kind.AUTOREPLY: autoreply,
    Kind.UNSUBSCRIBE: unsubscribe,
    Kind.OTHER: letter,
}
# Reports whose senders sign them, so that a forged one can be told (bounces have no sender to sign them)
SIGNED = frozenset({Kind.ARF, Kind.XARF, Kind.DMARC_AGGREGATE, Kind.DMARC_FAILURE, Kind.TLS_REPORT})
_HEAD = 65_536


def read(arrival: Arrival, attribute: Attribute, settings: MailSettings) -> tuple[Report, Batch]:
    """Parse a mail and make facts of it. Raises what `attribute` raises, and nothing for what is in the mail."""
    report = parse(arrival.raw)
    return report, facts(report, arrival, attribute, settings)


def facts(report: Report, arrival: Arrival, attribute: Attribute, settings: MailSettings) -> Batch:
    """One batch: what the mail says, or the mail itself, parked with the reason why it says nothing."""
    server = settings.authserv_id
    verified = server is not None and is_vouched_for(report.report_headers, server)
    found = _said(Mail(report, arrival, _told_apart(attribute), settings, verified))
    identity = report.identity or hashlib.sha256(arrival.raw).hexdigest()
    at = arrival.received_at
    if isinstance(found, Refusal):
        # a key of its own: offered again once the cause is mended, the mail is counted after all
        return Batch(SOURCE, f"parked:{found.reason}:{identity}", at,
                     parked=(Parked(arrival.place, found.reason, found.text, arrival.raw),))
    keep = settings.keep_evidence and found.as_evidence
    return Batch(SOURCE, found.key or f"mail:{identity}", at, found.observations, found.traces,
                 (Evidence("mail", at, arrival.raw),) if keep else ())


class _LookUpFailedError(Exception):
    """Whose mail it was could not be looked up, which is not the fault of the mail: it is to come again."""

    def __init__(self, why: Exception) -> None:
        super().__init__(str(why))
        self.why = why


def _told_apart(attribute: Attribute) -> Attribute:
    def ask(clues: Clues) -> Attribution:
        try:
            return attribute(clues)
        except Exception as why:
            raise _LookUpFailedError(why) from why

    return ask


def _said(mail: Mail) -> Said | Refusal:
    if refusal := _refusal(mail):
        return refusal
    try:
        return READERS[mail.report.kind](mail)
    except _LookUpFailedError as failed:
        raise failed.why from None
    except Exception as wrong:  # one mail must not keep all that lie behind it waiting for ever
        log.exception("%s: %s", mail.arrival.place, mail.report.kind)
        return Refusal(Reason.INTERNAL, f"{mail.report.kind}: {type(wrong).__name__}: {wrong}"[:300])


def _refusal(mail: Mail) -> Refusal | None:
    """Why a mail is not even read; None where it is to be believed."""
    report, server = mail.report, mail.settings.authserv_id
    if mail.arrival.size is not None:
        return Refusal(Reason.TOO_LARGE, f"{mail.arrival.size} bytes; only the beginning is kept")
    if report.kind is Kind.UNREADABLE or report.error is not None:
        return Refusal(Reason.MALFORMED, f"{report.kind}: {report.error}")
    if server and report.kind in SIGNED and not (mail.verified or mail.arrival.trusted):
        sender = report.report_headers.get("from", "a mail without sender")
        return Refusal(Reason.UNVERIFIED, f"{server} does not vouch for {sender}")
    return None


def arrived_at(raw: bytes, now: datetime) -> datetime:
    """When a mail that lay in a file arrived: by its topmost Received, else its Date, never after `now`."""
    header = head(raw[:_HEAD])
    said = infer(header).arrival_at or moment(header.get("date"))
    return min(said, now) if said else now
