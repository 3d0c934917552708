"""What a report leaves out and the mail around it names: domain, organisation, id.

TLS reports: the header fields `TLS-Report-Domain` and `TLS-Report-Submitter` (RFC 8460 5.3). Both kinds: the subject
`Report Domain: d Submitter: s Report-ID: <id>` (RFC 8460 5.3, RFC 9990) and the file name
`receiver!domain!begin!end.xml.gz`. Only where a mail holds one report: of several nobody knows which is meant.
"""

from __future__ import annotations

import dataclasses
import re

from collectors.mail import times
from collectors.mail.mime import Part
from collectors.mail.report import Aggregate, Report

_DOMAIN = r"([a-z0-9_](?:[a-z0-9_.-]*[a-z0-9])?)"
_SUBJECT = {
    "domain": re.compile(rf"report[ _-]?domain\s*:\s*{_DOMAIN}\.?(?!\s*,)(?=[\s;]|$)", re.IGNORECASE),
    "org": re.compile(rf"submitter\s*:\s*{_DOMAIN}", re.IGNORECASE),
    "id": re.compile(r"report[ _-]?id\s*:\s*(?:<([^<>]{1,200})>|([^\s<>;]{1,200}))", re.IGNORECASE),
}
_FILE_NAME = re.compile(rf"{_DOMAIN}!{_DOMAIN}!(\d+)!(\d+)(?:!|\.)", re.IGNORECASE)


def completed(report: Report, mail: Part) -> Report:
    """The report with what it leaves out filled in; as it is where nothing is missing or nothing is named."""
    if report.report is None or report.others:
        return report
    return dataclasses.replace(report, report=_completed(report.report, mail))


def _completed(aggregate: Aggregate, mail: Part) -> Aggregate:
    policies = aggregate.policies
    if aggregate.domain and aggregate.org and aggregate.id and all(policy.domain for policy in policies):
        return aggregate
    named = _named(mail)
    domain = named.get("domain", "")
    file = _file_name(mail)
    return dataclasses.replace(
        aggregate,
        org=aggregate.org or named.get("org"),
        id=aggregate.id or named.get("id"),
        domain=aggregate.domain or domain or None,
        begin=aggregate.begin or (times.moment(file[3]) if file else None),
        end=aggregate.end or (times.moment(file[4]) if file else None),
        policies=tuple(dataclasses.replace(policy, domain=policy.domain or domain) for policy in policies),
    )


def _named(mail: Part) -> dict[str, str]:
    """What the mail names, the surest first: its own fields, the subject, the file's name."""
    subject, file = mail.get("subject"), _file_name(mail)
    named = {"domain": mail.get("tls-report-domain"), "org": mail.get("tls-report-submitter")}
    for name, pattern in _SUBJECT.items():
        if not named.get(name) and (match := pattern.search(subject)):
            named[name] = next(filter(None, match.groups()))
    if file:
        named["org"] = named.get("org") or file[1]
        named["domain"] = named.get("domain") or file[2]
    named["domain"] = named.get("domain", "").strip(" .").lower()
    return {name: value for name, value in named.items() if value}


def _file_name(mail: Part) -> re.Match[str] | None:
    names = (part.filename for part in mail.parts)
    return next((match for name in names if (match := _FILE_NAME.match(name.strip()))), None)
