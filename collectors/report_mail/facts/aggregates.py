"""DMARC aggregate reports and TLS reports: counts a receiver kept for a day (RFC 7489, 9990; RFC 8460).

Counts are dated by the end of the report's period: they are not spread over it, so windows shorter than a
day say little. One report is counted once, however many mails, mailboxes and wrappings it comes in: its
organisation, id, domain and period name it. Where another content comes under the same name (a correction, or the
rest of a report that was split), nobody can know which messages are in both: it is parked as `revised`, to be looked
at. An IP that is not ours names no series; mails from such IPs are counted for the domain alone, be they
forwarded or forged.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple
from datetime import datetime
from functools import cache

from collectors.contract import Attribution, Identifiers, Reason
from collectors.mail.ip import canonical
from collectors.mail.report import Aggregate
from collectors.observation import Observation, Subject, Trace
from collectors.providers import ProviderTable
from collectors.report_mail.facts.shape import Facts, Mail, Refusal
from collectors.report_mail.facts.whose import OTHER, is_ours, subject
from collectors.traces import TraceKind

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


def dmarc(mail: Mail) -> Facts | Refusal:
    """Messages that passed and failed, by domain and by IP of ours."""
    report = mail.report.report
    if report is None:
        return Refusal(Reason.NO_DATA, "a DMARC report without numbers")
    at, provider = ended_at(report, mail.arrival.received_at), provider_of_organisation(report.org, mail.providers)

    @cache
    def whose(domain: str | None, source_ip: str) -> Attribution:
        return mail.attribute(Identifiers(domain=domain, source_ip=canonical(source_ip)))

    counts: dict[Subject, list[int]] = {}
    for row in report.rows:
        below = row.header_from.endswith(f".{report.domain}")  # a report is about one domain and those below it
        owner = whose(row.header_from if below else report.domain, row.source_ip)
        if is_ours(owner):
            counts.setdefault(subject(owner, provider), [0, 0])[row.aligned] += row.count
    observations = [
        Observation(measure, about, at, float(count))
        for about, (failed, passed) in counts.items()
        for measure, count in (("dmarc_pass", passed), ("dmarc_fail", failed))
    ]
    return Facts(tuple(observations) or unattributed(report, mail), key=identity("dmarc", report),
                 content=content(report))


def tls(mail: Mail) -> Facts | Refusal:
    """Sessions to our domains that were and were not encrypted as their policy asks; a trace per kind of failure."""
    report = mail.report.report
    if report is None:
        return Refusal(Reason.NO_DATA, "a TLS report without numbers")
    at, provider = ended_at(report, mail.arrival.received_at), provider_of_organisation(report.org, mail.providers)
    succeeded, failed, policies = Counter[Subject](), Counter[Subject](), dict[Subject, list[str]]()
    traces: list[Trace] = []
    for policy in report.policies:
        owner = mail.attribute(Identifiers(domain=policy.domain))
        if not is_ours(owner):
            continue
        about = subject(owner, provider)
        succeeded[about] += policy.success
        failed[about] += policy.failure
        policies.setdefault(about, []).append(f"{policy.type} {policy.success}/{policy.success + policy.failure}")
        traces += [mail.trace(TraceKind.TLS_FAILURE, owner, about, at=at, category=kind, text=f"policy {policy.type}",
                              count=sessions) for kind, sessions in policy.failures if sessions]
    observations = [
        Observation(measure, about, at, float(count[about]), detail={"policies": policies[about]})
        for about in policies
        for measure, count in (("tls_success", succeeded), ("tls_failure", failed))
    ]
    return Facts(tuple(observations) or unattributed(report, mail), tuple(traces[:MOST_TRACES]),
                 identity("tls", report), content(report))


def unattributed(report: Aggregate, mail: Mail) -> tuple[Observation, ...]:
    """A report in which nothing is ours; an empty one says nothing."""
    if not report.records:
        return ()
    about = Subject(provider=provider_of_organisation(report.org, mail.providers))
    return (Observation("unattributed_report", about, mail.arrival.received_at, 1.0),)


def ended_at(report: Aggregate, received_at: datetime) -> datetime:
    """The end of the report's period; of one that has not ended yet, when the report came."""
    return min(report.end or received_at, received_at)


def provider_of_organisation(org: str | None, providers: ProviderTable) -> str:
    name = (org or "").strip().lower()
    return ORGANISATIONS.get(name) or providers.of(name) or OTHER


def identity(kind: str, report: Aggregate) -> str | None:
    """What names a report; None where it has no id of its own."""
    if not report.id:
        return None
    return ":".join((kind, *(str(part or "").strip().lower() for part in _names(report))))


def content(report: Aggregate) -> str | None:
    """What is counted in a report, whatever its order and spelling; None where nothing else could have its name."""
    if not report.id:
        return None
    counted = (sorted(map(astuple, report.rows)), sorted(map(astuple, report.policies)))
    return hashlib.sha256(repr(counted).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _names(report: Aggregate) -> Iterator[object]:
    yield from (report.org, report.id, report.domain)
    yield from (moment and moment.isoformat() for moment in (report.begin, report.end))
