"""DMARC aggregate reports and TLS reports: counts a receiver kept for a day (RFC 7489, 9990; RFC 8460).

Counts are dated by the end of the report's period: they are not spread over it, so windows shorter than a
day say little. One report is counted once, however many mails, mailboxes and wrappings it comes in: its
organisation, id, domain and period name it. An IP that is not ours names no series; mails from such IPs
are counted for the domain alone, be they forwarded or forged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from functools import cache

from collectors.contract import Attribution, Clues, Reason
from collectors.mail.ip import canonical
from collectors.mail.report import Aggregate
from collectors.observation import Observation, Subject, Trace
from collectors.report_mail.facts.shape import Mail, Refusal, Said
from collectors.report_mail.facts.whose import OTHER, is_ours, provider_of, subject

# Organisations that write reports under another name than their mail is known by, in lower case
ORGANISATIONS = {
    "google.com": "gmail",
    "google inc.": "gmail",
    "enterprise outlook": "microsoft365",
    "outlook.com": "microsoft",
    "microsoft corporation": "microsoft365",
    "yahoo inc.": "yahoo",
}
MOST_TRACES = 100


def dmarc(mail: Mail) -> Said | Refusal:
    """Messages that passed and failed, by domain and by IP of ours."""
    told = mail.report.report
    if told is None:
        return Refusal(Reason.NO_DATA, "a DMARC report without numbers")
    at, provider = ended_at(told, mail.arrival.received_at), provider_of_organisation(told.org)

    @cache
    def whose(domain: str | None, source_ip: str) -> Attribution:
        return mail.attribute(Clues(domain=domain, source_ip=canonical(source_ip)))

    counts: dict[Subject, list[int]] = {}
    for row in told.rows:
        below = row.header_from.endswith(f".{told.domain}")  # a report is about one domain and those below it
        owner = whose(row.header_from if below else told.domain, row.source_ip)
        if is_ours(owner):
            counts.setdefault(subject(owner, provider), [0, 0])[row.aligned] += row.count
    observations = [
        Observation(measure, about, at, float(count))
        for about, (failed, passed) in counts.items()
        for measure, count in (("dmarc_pass", passed), ("dmarc_fail", failed))
    ]
    return Said(tuple(observations) or unattributed(told, mail), key=identity("dmarc", told))


def tls(mail: Mail) -> Said | Refusal:
    """Sessions to our domains that were and were not encrypted as their policy asks; a trace per kind of failure."""
    told = mail.report.report
    if told is None:
        return Refusal(Reason.NO_DATA, "a TLS report without numbers")
    at, provider = ended_at(told, mail.arrival.received_at), provider_of_organisation(told.org)
    succeeded, failed, policies = Counter[Subject](), Counter[Subject](), dict[Subject, list[str]]()
    traces: list[Trace] = []
    for policy in told.policies:
        owner = mail.attribute(Clues(domain=policy.domain))
        if not is_ours(owner):
            continue
        about = subject(owner, provider)
        succeeded[about] += policy.success
        failed[about] += policy.failure
        policies.setdefault(about, []).append(f"{policy.type} {policy.success}/{policy.success + policy.failure}")
        traces += [mail.trace("tls_failure", owner, about, at=at, category=kind, text=f"policy {policy.type}",
                              count=sessions) for kind, sessions in policy.failures if sessions]
    observations = [
        Observation(measure, about, at, float(count[about]), detail={"policies": policies[about]})
        for about in policies
        for measure, count in (("tls_success", succeeded), ("tls_failure", failed))
    ]
    return Said(tuple(observations) or unattributed(told, mail), tuple(traces[:MOST_TRACES]), identity("tls", told))


def unattributed(told: Aggregate, mail: Mail) -> tuple[Observation, ...]:
    """A report in which nothing is ours; an empty one says nothing."""
    if not told.records:
        return ()
    about = Subject(provider=provider_of_organisation(told.org))
    return (Observation("unattributed_report", about, mail.arrival.received_at, 1.0),)


def ended_at(told: Aggregate, received_at: datetime) -> datetime:
    """The end of the report's period; of one that has not ended yet, when the report came."""
    return min(told.end or received_at, received_at)


def provider_of_organisation(org: str | None) -> str:
    name = (org or "").strip().lower()
    return ORGANISATIONS.get(name) or provider_of(name) or OTHER


def identity(kind: str, told: Aggregate) -> str | None:
    """What names a report; None where it has no id of its own."""
    if not told.id:
        return None
    return ":".join((kind, *(str(part or "").strip().lower() for part in _names(told))))


def _names(told: Aggregate) -> Iterator[object]:
    yield from (told.org, told.id, told.domain)
    yield from (moment and moment.isoformat() for moment in (told.begin, told.end))
