"""DMARC failure reports in words only: no feedback-report part, the reported header pasted below (Exim, Baruwa).

Known by its subject or first words and by the fields among the words. The line between words and header may run
over several lines, stand indented or be missing. May be wrong where a person quotes such a report.
"""

from __future__ import annotations

import re

from collectors.mail import ip, mime, original, sources, times
from collectors.mail.mime import Part
from collectors.mail.report import Feedback, Kind, Report

_STARTS = re.compile(
    r"failed\s+the\s+published\s+DMARC\s+policy|DMARC\s+(?:forensic|failure)\s+report", re.IGNORECASE
)
_FIELD = re.compile(r"^[ \t]*+([A-Za-z][A-Za-z -]{2,30}?)[ \t]*+:[ \t]*+(\S.*)$", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*+[-=_*]{3,99}+[^\n]{0,99}?(?:header|message|mail)[^\n]*+\n", re.MULTILINE | re.IGNORECASE)
_ANY_FIELD = re.compile(r"^([ \t]*+)[!-9;-~]++:[ \t]", re.MULTILINE)
_HEADER_FIELD = re.compile(
    r"^([ \t]*+)(?:Return-Path|Received(?=:\s+(?:from|by)\s)|DKIM-Signature|Authentication-Results):[ \t]",
    re.MULTILINE | re.IGNORECASE,
)
# What is stated under which names, in lower case
_IP = ("sender ip address", "sender ip", "source ip address", "source ip", "source-ip", "sending ip", "ip address")
_DOMAIN = ("sender domain", "from domain", "header from", "reported domain", "domain")
_AT = ("received date", "arrival date", "arrival-date", "date received", "date")


def read(mail: Part) -> Report | None:
    """The report if the mail is one; None otherwise."""
    part = next((part for part in mail.parts if part.type == "text/plain"), None)
    if part is None:
        return None
    text = part.text()
    if not _STARTS.search(mail.get("subject") + "\n" + text[:1_000]):
        return None
    words, pasted = _divided(text)
    stated: dict[str, str] = {}
    for name, value in _FIELD.findall(words):
        stated.setdefault(name.lower(), value.strip())
    source_ip, domain = _first(stated, _IP), ip.without_comments(_first(stated, _DOMAIN))
    if mail.type != "multipart/report" and not (source_ip and domain):
        return None
    source_ip = ip.read(source_ip) or source_ip
    reported = mail.attached or mime.head(pasted.encode())
    return Report(
        kind=Kind.DMARC_FAILURE,
        feedback=Feedback(
            type="auth-failure",
            source_ip=source_ip or None,
            arrival_at=times.moment(_first(stated, _AT)),
            reported_domain=(domain,) if domain else (),
            message_id=original.message_id(reported),
            redacted=bool(source_ip) and ip.read(source_ip) is None,
            provider=sources.provider(mail, ""),
            auth_failure="dmarc",
            inferred=original.infer(reported, source_ip),
        ),
        original_headers=original.headers(reported),
    )


def _divided(text: str) -> tuple[str, str]:
    """The words, and the header pasted below them, brought to the margin; empty where there is none."""
    rule = _RULE.search(text)
    start = rule.end() if rule else 0
    field = (_ANY_FIELD if rule else _HEADER_FIELD).search(text, start)
    words = text[: rule.start() if rule else field.start() if field else len(text)]
    pasted = text[field.start() :] if field else ""
    if field and field[1]:
        pasted = "\n".join(line.removeprefix(field[1]) for line in pasted.split("\n"))
    return words, pasted


def _first(stated: dict[str, str], names: tuple[str, ...]) -> str:
    return next((stated[name] for name in names if name in stated), "")
