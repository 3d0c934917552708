"""What every reading of a mail is given and gives back, and what its source may set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pydantic import Field

from collectors.contract import Attribution, CollectorSettings, Identifiers, Purpose, Reason
from collectors.mail import Report
from collectors.observation import Observation, Subject, Trace
from collectors.providers import ProviderTable
from collectors.report_mail.report_sender import is_mail_system, sender_of, speaks_for
from collectors.report_mail.reporters import speaks_for_provider
from collectors.traces import TraceKind

Attribute = Callable[[Identifiers], Attribution]


class MailSettings(CollectorSettings):
    """`max_mails` bounds one mailbox or folder in one run, so that a flooded one keeps no other waiting.

    `authserv_id` is our own mail server's name in Authentication-Results, whose findings about signatures are
    believed. Where it is set, a DMARC or TLS report whose sender that server did not vouch for is parked instead of
    counted (RFC 9477). `reporters` adds domains that sign feedback reports: domain → providers it speaks for.
    """

    every: timedelta = timedelta(minutes=5)
    max_mail_bytes: int = Field(10_000_000, gt=0)
    max_mails: int = Field(10_000, gt=0)
    max_complaint_age: timedelta = timedelta(days=7)
    keep_evidence: bool = True
    authserv_id: str | None = None
    reporters: Mapping[str, frozenset[str]] = {}


class Arrival(NamedTuple):
    """One mail as its source found it. `size` is set where `raw` is only the beginning of it."""

    raw: bytes
    place: str  # source/where in it, for whoever looks for it
    received_at: datetime
    purpose: Purpose = Purpose.FEEDBACK_LOOP
    provider: str | None = None
    size: int | None = None
    trusted: bool = False  # only mailbox providers can write to where it was found


@dataclass(frozen=True, slots=True)
class Mail:
    """A parsed mail and what is needed to make facts of it."""

    report: Report
    arrival: Arrival
    attribute: Attribute
    settings: MailSettings
    providers: ProviderTable
    verified: bool = False  # our own server found it signed by its sender
    signers: frozenset[str] = frozenset()  # domains our own server found to have signed it

    def trace(self, kind: TraceKind, whose: Attribution, about: Subject, **fields: Any) -> Trace:
        """A fact of this mail about a recipient; dated by receipt, and believed as its sender is, unless `fields` says otherwise."""
        verified = fields.pop("verified", None)
        believed = self.is_vouched_for(fields.get("recipient")) if verified is None else verified
        return Trace(kind=kind, subject=about, how=whose.how, recipient_ref=whose.recipient_ref,
                     recipient_hash=whose.recipient_hash, verified=believed,
                     **{"at": self.arrival.received_at, **fields})

    def is_vouched_for(self, recipient: str | None) -> bool:
        """Whether it comes from where nobody else can write, or is signed by who speaks for this recipient."""
        return self.arrival.trusted or (self.verified and speaks_for(self.report.report_headers, recipient, self.providers))

    def is_of_mail_system(self, recipient: str | None) -> bool:
        """`is_vouched_for`, and of a mailbox provider's recipient: by its mail system. Anybody has an address there, signed alike."""
        theirs = (recipient or "").rpartition("@")[2].lower()
        own = self.arrival.trusted or self.providers.of_domain(theirs) is None
        return self.is_vouched_for(recipient) and (own or is_mail_system(self.report.report_headers))

    def is_of_reporter(self, provider: str | None) -> bool:
        """Whether it is signed by who may report complaints of this provider's recipients."""
        sender = sender_of(self.report.report_headers)
        return speaks_for_provider(self.signers, sender, provider, self.settings.reporters, self.providers)


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of one report. `key` names the report itself where it may come in several mails.

    `content` names what `key` stands for this time: under one key, another content is no repeat. `once` are
    facts that several reports may state and that count once, each under a key of their own.
    """

    observations: tuple[Observation, ...] = ()
    traces: tuple[Trace, ...] = ()
    key: str | None = None
    content: str | None = None
    once: tuple[Facts, ...] = ()
    as_evidence: bool = True  # worth keeping as received, where that is wanted


class Refusal(NamedTuple):
    """Why a mail is parked instead of counted."""

    reason: Reason
    text: str
