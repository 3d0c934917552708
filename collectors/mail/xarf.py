"""X-ARF: abuse reports as JSON (v3, v4, xarf.org) or YAML (v0.1, still sent by blocklists).

Written for hosters, but a CFBL address may ask for it (RFC 9477, report=xarf). The YAML is flat, so it is
read line by line: no loader of YAML is linear on hostile input. Samples are decoded to find the reported
mail.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from collectors.mail import fields, ip, mime, original, times
from collectors.mail.json_object import Object, inside, listed, text
from collectors.mail.mime import Part
from collectors.mail.report import Feedback, Kind, Report

_MARK = re.compile(r"^\s*(?:yes|plain|secure|bulk)", re.IGNORECASE)
_YAML = re.compile(r"^Report(?:ed-From|-Type|-ID)\s*:", re.MULTILINE)
_MOST_YAML = 65_536
_NAME = re.compile(r"\.[a-z]{2,}|://", re.IGNORECASE)  # a domain or URL: the other sources X-ARF knows


def is_report(stated: Object) -> bool:
    """Whether a JSON object is an X-ARF report of any version."""
    return "xarf_version" in stated or ("Version" in stated and "Report" in stated and "ReporterInfo" in stated)


def read(stated: Object) -> Report:
    """The report in a JSON object."""
    about = inside(stated, "Report") or stated
    about = {**inside(about, "AdditionalInfo"), **about}
    reporter = inside(stated, "ReporterInfo") or inside(stated, "reporter")
    return _report(
        kind=text(about, "ReportType", "type"),
        source=text(about, "SourceIp", "source_identifier") or text(inside(about, "Source"), "IP", "Ip"),
        mail_from=text(about, "SmtpMailFromAddress", "SMTPFrom", "smtp_from"),
        rcpt_to=text(about, "SmtpRcptToAddress", "SMTPTo", "smtp_to"),
        at=text(about, "Date", "timestamp"),
        version=text(stated, "Version", "xarf_version"),
        agent=text(reporter, "ReporterOrg", "org"),
        reported=_sample(about),
    )


def in_mail(mail: Part) -> Report | None:
    """A v0.1 report: marked in the header, its facts as YAML in a part of their own."""
    marked = _MARK.match(mail.get("x-xarf") or mail.get("x-arf"))
    for part in mail.parts:
        if part.children or not part.type.startswith("text/"):
            continue
        if not marked and b"Reported-From:" not in part.raw(_MOST_YAML):
            continue
        words = part.text(_MOST_YAML)
        if len(_YAML.findall(words)) > 1:
            return _v0(_yaml(words), mail.attached)
    return Report(Kind.XARF, error="marked as X-ARF, but no report inside") if marked else None


def _v0(stated: Object, reported: Part | None) -> Report:
    return _report(
        kind=text(stated, "Report-Type", "Category"),
        source=text(stated, "Source"),
        mail_from="",
        rcpt_to="",
        at=text(stated, "Date"),
        version=text(stated, "Version") or "0.1",
        agent=text(stated, "User-Agent", "Reported-From"),
        reported=reported,
    )


def _report(*, reported: Part | None, **stated: str) -> Report:
    source = stated["source"]
    source_ip = ip.read(source) or (source if source and not _NAME.search(source) else None)
    return Report(
        kind=Kind.XARF,
        feedback=Feedback(
            type=stated["kind"].lower() or "abuse",
            user_agent=stated["agent"] or None,
            version=stated["version"] or None,
            source_ip=source_ip,
            reported_domain=(source,) if source and source_ip is None else (),
            original_mail_from=fields.address(stated["mail_from"]) or None,
            original_rcpt_to=tuple(filter(None, (fields.address(stated["rcpt_to"]),))),
            arrival_at=times.moment(stated["at"]),
            message_id=original.message_id(reported),
            redacted=source_ip is not None and ip.read(source_ip) is None,
            feedback_id=original.feedback_id(reported),
            inferred=original.infer(reported, source_ip),
        ),
        original_headers=original.headers(reported),
    )


def _yaml(words: str) -> Mapping[str, str]:
    """The scalars on the first level of the YAML document; text around it is not ours to read."""
    start = words.find("---\n") + 4 if "---\n" in words else 0
    body = words[start:].partition("\n...")[0]
    pairs = (line.partition(":") for line in body.split("\n") if line[:1].isalpha())
    stated: dict[str, str] = {}
    for name, _, value in pairs:
        stated.setdefault(name.strip(), value.strip().strip("\"'"))
    return stated


def _sample(about: Object) -> Part | None:
    """The reported mail among the evidence."""
    for where, body in (("Samples", "Payload"), ("Attachment", "Data"), ("evidence", "payload")):
        for evidence in listed(about, where, 20):
            kind, coded = text(evidence, "ContentType", "content_type"), text(evidence, body)
            if kind.startswith(("message/", "text/rfc822")) and coded:
                plain = evidence.get("Base64Encoded") is False
                return mime.read(coded.encode() if plain else fields.base64(coded.encode()))
    return None

