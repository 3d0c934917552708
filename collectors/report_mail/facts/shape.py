"""What every reading of a mail is given and gives back, and what its source may set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pydantic import Field

from collectors.contract import Attribution, Clues, CollectorSettings, Reason
from collectors.mail import Report
from collectors.observation import Observation, Subject, Trace
from collectors.report_mail.report_sender import speaks_for

Attribute = Callable[[Clues], Attribution]


class MailSettings(CollectorSettings):
    """`max_mails` bounds one mailbox or folder in one run, so that a flooded one keeps no other waiting.

    `authserv_id` is our own mail server's name in Authentication-Results; where it is set, a report whose
    sender that server did not vouch for is parked instead of counted (RFC 9477).
    """

    every: timedelta = timedelta(minutes=5)
    max_mail_bytes: int = Field(10_000_000, gt=0)
    max_mails: int = Field(10_000, gt=0)
    max_complaint_age: timedelta = timedelta(days=7)
    keep_evidence: bool = True
    authserv_id: str | None = None


class Arrival(NamedTuple):
    """One mail as its source found it. `size` is set where `raw` is only the beginning of it."""

    raw: bytes
    place: str  # source/where in it, for whoever looks for it
    received_at: datetime
    purpose: str = "feedback_loop"  # a contract.Purpose
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
    verified: bool = False  # our own server found it signed by its sender

    def trace(self, kind: str, whose: Attribution, about: Subject, **said: Any) -> Trace:
        """A fact of this mail about a recipient; dated by receipt unless `said` knows better."""
        vouched = self.verified and speaks_for(self.report.report_headers, said.get("recipient"))
        return Trace(kind=kind, subject=about, how=whose.how, recipient_ref=whose.recipient_ref,
                     recipient_hash=whose.recipient_hash, verified=self.arrival.trusted or vouched,
                     **{"at": self.arrival.received_at, **said})


@dataclass(frozen=True, slots=True)
class Said:
    """The facts of one mail. `key` names the report itself where it may come in several mails."""

    observations: tuple[Observation, ...] = ()
    traces: tuple[Trace, ...] = ()
    key: str | None = None
    as_evidence: bool = True  # worth keeping as received, where that is wanted


class Refusal(NamedTuple):
    """Why a mail is parked instead of counted."""

    reason: Reason
    text: str
