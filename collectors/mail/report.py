"""What a mail said: the one typed result of every parser in this folder, and its JSON.

The JSON is the contract of `vigie mail parse --json`: only the block that fits the kind is present; what a
report states stands in `feedback`, what was worked out from the attached mail in `feedback.inferred`.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from collectors.mail import ip

if TYPE_CHECKING:
    from collectors.replies.judgement import Judgement



class Kind(enum.StrEnum):
    """What a mail is, by its content. Closed: the contract names exactly these."""

    ARF = "arf"
    DSN = "dsn"
    BOUNCE = "bounce"  # says a mail failed, but not in RFC 3464
    DMARC_AGGREGATE = "dmarc_aggregate"
    DMARC_FAILURE = "dmarc_failure"
    TLS_REPORT = "tls_report"
    XARF = "xarf"
    AUTOREPLY = "autoreply"  # absence notes, challenges, read receipts
    UNSUBSCRIBE = "unsubscribe"
    OTHER = "other"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Inferred:
    """What the report leaves out and the attached mail shows; `source_ip` only where the report states none."""

    source_ip: str | None = None
    original_mail_from: str | None = None
    original_rcpt_to: tuple[str, ...] = ()
    arrival_at: datetime | None = None


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


@dataclass(frozen=True, slots=True)
class Feedback:
    """One complaint or authentication failure. Addresses and `source_ip` are as stated, maybe masked."""

    type: str
    user_agent: str | None = None
    version: str | None = None
    source_ip: str | None = None
    original_mail_from: str | None = None
    original_rcpt_to: tuple[str, ...] = ()
    arrival_at: datetime | None = None
    reported_domain: tuple[str, ...] = ()
    reported_uri: tuple[str, ...] = ()
    message_id: str | None = None
    redacted: bool = False
    provider: str | None = None
    incidents: int = 1
    auth_failure: str | None = None
    identity_alignment: str | None = None
    delivery_result: str | None = None
    feedback_id: str | None = None  # CFBL-Feedback-ID, else Feedback-ID, all white space removed
    inferred: Inferred = Inferred()

    @property
    def ip(self) -> str | None:
        """The sending IP: as stated, also where that cannot be used (then None); inferred where nothing is."""
        return ip.canonical((self.inferred.source_ip if self.source_ip is None else self.source_ip) or "")

    @property
    def mail_from(self) -> str | None:
        return self.original_mail_from or self.inferred.original_mail_from

    @property
    def recipients(self) -> tuple[str, ...]:
        return self.original_rcpt_to or self.inferred.original_rcpt_to


@dataclass(frozen=True, slots=True)
class Recipient:
    """What became of one recipient. Only `action` failed is a bounce; delayed is a deferral.

    `status` is the Status field of a DSN as stated; `judgement` may know a more exact one from the text.
    """

    address: str
    action: str  # failed delayed delivered relayed expanded
    status: str | None
    diagnostic: str
    judgement: Judgement
    final_recipient: str | None = None  # where it went in the end, if not to `address`
    remote_mta: str | None = None

    @property
    def hard(self) -> bool:
        return self.action == "failed" and self.judgement.hard

    @property
    def judged_status(self) -> str | None:
        """The better code worked out from status, reply and words; 4.y.z where mail is still tried."""
        code = self.judgement.judged_status
        if code and self.judgement.status is None and self.action == "delayed":
            return f"4{code[1:]}"
        return code


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One record of a DMARC aggregate report: mails of one IP with one result."""

    source_ip: str
    count: int
    disposition: str
    dkim: str  # aligned results, as evaluated by the receiver
    spf: str
    header_from: str
    envelope_from: str
    reasons: tuple[str, ...] = ()

    @property
    def aligned(self) -> bool:
        return "pass" in (self.dkim, self.spf)


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """One policy of a TLS report: sessions by outcome."""

    domain: str
    type: str
    success: int
    failure: int
    failures: tuple[tuple[str, int], ...] = ()  # result type, sessions


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A DMARC aggregate or TLS report. `passed` and `failed` are messages (DMARC) or sessions (TLS)."""

    org: str | None
    id: str | None
    domain: str | None
    begin: datetime | None
    end: datetime | None
    records: int
    messages: int
    passed: int
    failed: int
    rows: tuple[SourceRow, ...] = ()
    policies: tuple[TlsPolicy, ...] = ()
    published: Mapping[str, str] = field(default_factory=dict)  # the DMARC policy the receiver found
    repaired: bool = False  # the XML was broken and read as far as it went
    uncounted: tuple[str, ...] = ()  # counts that cannot be read, as stated; in the sums they are left out


@dataclass(frozen=True, slots=True)
class Report:
    """What one mail said. `identity` is the same however and wherever the same report is fetched."""

    kind: Kind
    identity: str = ""
    error: str | None = None
    feedback: Feedback | None = None
    recipients: tuple[Recipient, ...] = ()
    report: Aggregate | None = None
    remarks: tuple[str, ...] = ()  # what of the mail is not in here, and why
    # of the reported or returned mail, and of the report mail itself
    original_headers: Mapping[str, str] = field(default_factory=dict)
    report_headers: Mapping[str, str] = field(default_factory=dict)
    others: tuple[Report, ...] = ()  # further reports in the same mail or archive; those may be unreadable

    @property
    def all(self) -> tuple[Report, ...]:
        """The report itself and the others that came with it."""
        return (self, *self.others)

    def to_json(self) -> dict[str, Any]:
        """The row of the contract, without `file`. Several reports are listed in `reports`, this one first."""
        row = _blocks(self)
        wrong = [report.error for report in self.all if report.error]
        if self.others and wrong:
            row["error"] = f"{len(wrong)} of {len(self.all)} reports: {wrong[0]}"
        if self.report is not None:
            row["report"] = _aggregate(self.report)
        if self.remarks:
            row["remarks"] = list(self.remarks)
        if self.others:
            aggregates = [_aggregate(report.report) if report.report else {} for report in self.all]
            row["reports"] = [_blocks(report) | numbers for report, numbers in zip(self.all, aggregates, strict=True)]
        return row


MOST_REPORTS = 200  # of one mail
TOO_MANY = Report(
    Kind.UNREADABLE, hashlib.sha256(b"too many").hexdigest(), f"more than {MOST_REPORTS} reports: the others are not read"
)


def _blocks(report: Report) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": str(report.kind), "error": report.error}
    if report.feedback is not None:
        row["feedback"] = _feedback(report.feedback)
    if report.recipients:
        row["recipients"] = [_recipient(recipient) for recipient in report.recipients]
    return row


def _time(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def _feedback(feedback: Feedback) -> dict[str, Any]:
    inferred = {
        "source_ip": feedback.inferred.source_ip,
        "original_mail_from": feedback.inferred.original_mail_from,
        "original_rcpt_to": list(feedback.inferred.original_rcpt_to),
        "arrival_at": _time(feedback.inferred.arrival_at),
    }
    return {
        "type": feedback.type,
        "user_agent": feedback.user_agent,
        "version": feedback.version,
        "source_ip": feedback.source_ip,
        "original_mail_from": feedback.original_mail_from,
        "original_rcpt_to": list(feedback.original_rcpt_to),
        "arrival_at": _time(feedback.arrival_at),
        "reported_domain": list(feedback.reported_domain),
        "reported_uri": list(feedback.reported_uri),
        "message_id": feedback.message_id,
        "redacted": feedback.redacted,
        "provider": feedback.provider,
        "incidents": feedback.incidents,
        "auth_failure": feedback.auth_failure,
        "feedback_id": feedback.feedback_id,
        "inferred": {name: value for name, value in inferred.items() if value},
    }


def _recipient(recipient: Recipient) -> dict[str, Any]:
    return {
        "address": recipient.address,
        "action": recipient.action,
        "status": recipient.status,
        "judged_status": recipient.judged_status,
        "reply_code": recipient.judgement.reply_code,
        "diagnostic": recipient.diagnostic,
        "category": recipient.judgement.category,
        "hard": recipient.hard,
    }


def _aggregate(report: Aggregate) -> dict[str, Any]:
    return {
        "org": report.org,
        "id": report.id,
        "domain": report.domain,
        "begin": _time(report.begin),
        "end": _time(report.end),
        "records": report.records,
        "messages": report.messages,
        "pass": report.passed,
        "fail": report.failed,
        **({"uncounted": len(report.uncounted)} if report.uncounted else {}),
    }
