"""What a mail says as facts: one way for every mail, from whichever mailbox, folder or request it came.

Any mailbox may receive anything: a bounce in the feedback-loop mailbox is a bounce. The kind of a mail decides
how it is read; where it was found only names the provider and, for letters, whether anybody is to answer.
What cannot be used is parked with its reason, never dropped: where a mail holds several reports, those that can be
read count, and the mail is parked for the others.

The key of a batch is the content of the mail (or what names the report in it) and its source is always
`mail`: so the same mail counts once, whether it is delivered twice, copied to another folder, posted and
fetched, or met again after a crash. Each report has a batch of its own, since each may come again in another mail.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from collectors.contract import Attribution, Identifiers, Purpose, Reason
from collectors.mail import Kind, Report, original, parse
from collectors.mail.mime import head
from collectors.mail.times import moment
from collectors.observation import Batch, Evidence, Parked
from collectors.providers import ProviderTable
from collectors.report_mail.facts.aggregates import dmarc, tls
from collectors.report_mail.facts.complaints import dmarc_failure, feedback
from collectors.report_mail.facts.failures import bounce
from collectors.report_mail.facts.letters import autoreply, letter, unsubscribe
from collectors.report_mail.facts.shape import Arrival, Attribute, Facts, Mail, MailSettings, Refusal
from collectors.report_mail.facts.whose import message_id
from collectors.report_mail.report_sender import is_vouched_for, signers

__all__ = ["MEASURES", "PURPOSES", "SOURCE", "Arrival", "Attribute", "LookUps", "MailSettings", "arrived_at", "facts", "read", "read_together"]

log = logging.getLogger(__name__)

SOURCE = "mail"
PURPOSES = tuple(Purpose)
MEASURES = frozenset({
    "complaint", "unverified_complaint", "report", "unattributed_report", "hard_bounce", "soft_bounce", "deferral",
    "block", "unattributed_bounce", "dmarc_pass", "dmarc_fail", "tls_success", "tls_failure", "unsubscribe", "autoreply",
})
READERS: dict[Kind, Callable[[Mail], Facts | Refusal]] = {
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
# Reports whose senders sign them: unsigned ones are parked where signatures are asked for. Feedback reports are
# counted all the same, as unverified; bounces have no sender to sign them.
SIGNED = frozenset({Kind.DMARC_AGGREGATE, Kind.DMARC_FAILURE, Kind.TLS_REPORT})
_HEAD = 65_536
_MOST_EXPECTED = 20  # recipients of one report


class LookUps(Protocol):
    """What of a collector's context is asked whose mail it was, and at which provider."""

    @property
    def providers(self) -> ProviderTable: ...

    def attribute(self, identifiers: Identifiers) -> Attribution: ...

    def prepare(self, expected: Iterable[Identifiers]) -> None: ...


def read(arrival: Arrival, context: LookUps, settings: MailSettings) -> tuple[Report, tuple[Batch, ...]]:
    """Parse a mail and make facts of it. Raises what the context's `attribute` raises, and nothing for what is in the mail."""
    report = parse(arrival.raw)
    return report, facts(report, arrival, context, settings)


def read_together(arrivals: Iterable[Arrival], context: LookUps, settings: MailSettings) -> Iterator[tuple[Report, tuple[Batch, ...]]]:
    """As `read`, of several mails, in order: what is looked up for them is looked up at once."""
    parsed = [(arrival, parse(arrival.raw)) for arrival in arrivals]
    context.prepare(expected(report for _, report in parsed))
    for arrival, report in parsed:
        yield report, facts(report, arrival, context, settings)


def expected(reports: Iterable[Report]) -> Iterator[Identifiers]:
    """What these reports may be looked up by: no more than a guess, to have it at hand."""
    for report in reports:
        for each in report.all:
            named = each.feedback.recipients if each.feedback else [recipient.address for recipient in each.recipients]
            for recipient in (None, *named[:_MOST_EXPECTED]):
                yield Identifiers(message_id=message_id(each), recipient=recipient)


def facts(report: Report, arrival: Arrival, context: LookUps, settings: MailSettings) -> tuple[Batch, ...]:
    """What the mail says, a batch for each report and for what counts once on its own; at least one.

    What says nothing is parked whole, in one batch that stands last.
    """
    known: list[Facts] = []
    refused: list[Refusal] = []
    remarks: list[str] = []
    for mail in _mails(report, arrival, context, settings):
        outcome = _facts(mail)
        if isinstance(outcome, Refusal):
            refused.append(outcome)
        else:
            remarks += mail.report.remarks
            known += (replace(outcome, key=outcome.key or f"mail:{mail.report.identity or _digest(arrival.raw)}", once=()),
                      *outcome.once)
    made = _Batches(arrival, keep=settings.keep_evidence and any(each.as_evidence for each in known))
    batches = [made.of(each) for each in known]
    batches = made.with_evidence(batches, report.identity or _digest(arrival.raw))
    if remarks and not refused:  # what was read counts; that there is more must not be lost
        more = Refusal(Reason.TOO_LARGE, f"counted, but {'; '.join(dict.fromkeys(remarks))}")
        batches.append(made.parked([more], report.identity or _digest(arrival.raw), alone=True))
    if refused:
        refused += [Refusal(Reason.TOO_LARGE, remark) for remark in remarks]
        batches.append(made.parked(refused, report.identity or _digest(arrival.raw), alone=not known))
    return tuple(batches)


def _mails(report: Report, arrival: Arrival, context: LookUps, settings: MailSettings) -> Iterator[Mail]:
    """The mail once for each report in it."""
    server = settings.authserv_id
    signed = signers(report.report_headers, server) if server else frozenset()
    verified = server is not None and is_vouched_for(report.report_headers, server)
    for each in report.all:
        yield Mail(each, arrival, _marked(context.attribute), settings, context.providers, verified, signed)


@dataclass(frozen=True, slots=True)
class _Batches:
    """Makes batches of one mail; `keep` says whether the mail itself is kept with them."""

    arrival: Arrival
    keep: bool

    def of(self, known: Facts) -> Batch:
        arrival = self.arrival
        revision = Parked(
            arrival.place, Reason.REVISED, f"another content than was counted under the same name: {known.key}", arrival.raw
        ) if known.content else None
        return Batch(SOURCE, known.key or "", arrival.received_at, known.observations, known.traces,
                     content=known.content, revision=revision)

    def with_evidence(self, batches: list[Batch], identity: str) -> list[Batch]:
        """The mail goes with its only batch, or with the one that is of this mail alone; else with one made for it."""
        if not self.keep or not batches:
            return batches
        evidence = (Evidence("mail", self.arrival.received_at, self.arrival.raw),)
        first = batches[0]
        if len(batches) == 1 or first.key == f"mail:{identity}":
            return [replace(first, evidence=evidence), *batches[1:]]
        return [*batches, Batch(SOURCE, f"mail:{identity}", self.arrival.received_at, evidence=evidence)]

    def parked(self, refused: list[Refusal], identity: str, *, alone: bool) -> Batch:
        """The mail, parked. A key of its own: offered again once the cause is gone, the mail is counted after all."""
        reason, text = refused[0]
        if len(refused) > 1 or not alone:
            text = f"{len(refused)} reports in it: {'; '.join(dict.fromkeys(each.text for each in refused))}"[:300]
        return Batch(SOURCE, f"parked:{reason}:{identity}", self.arrival.received_at,
                     parked=(Parked(self.arrival.place, reason, text, self.arrival.raw),))


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


class _LookUpFailedError(Exception):
    """Whose mail it was could not be looked up, which is not the fault of the mail: it is to come again."""

    def __init__(self, why: Exception) -> None:
        super().__init__(str(why))
        self.why = why


def _marked(attribute: Attribute) -> Attribute:
    """The look-up, its failures marked as such."""

    def ask(identifiers: Identifiers) -> Attribution:
        try:
            return attribute(identifiers)
        except Exception as why:
            raise _LookUpFailedError(why) from why

    return ask


def _facts(mail: Mail) -> Facts | Refusal:
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
    """Why a report is not even read; None where it is."""
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
    stated = original.arrival(header) or moment(header.get("date"))
    return min(stated, now) if stated else now
