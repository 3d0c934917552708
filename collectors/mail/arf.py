"""Feedback reports: ARF (RFC 5965, 6430, 6590, 6591), CFBL (RFC 9477), DMARC failures (RFC 9991).

Also Microsoft's JMRP until June 2026, which attached the mail (or, long ago, wrote its own fields on top of
it) without any feedback-report part. The report part is known by its content, not only by its type: Comcast
sends multipart/mixed with base64, others text/plain. The stated fields may be masked by the provider
(hashes, `redacted`, `x.x.x.x`) and are kept as stated.
"""

from __future__ import annotations

import re
from collections import defaultdict

from collectors.mail import fields, mime, original, sources
from collectors.mail.mime import Part
from collectors.mail.report import Feedback, Kind, Report

_JMRP_SUBJECT = re.compile(r"complaint about message from\s+([0-9a-f.:]+)", re.IGNORECASE)
_STATED = ("original-envelope-id", "dkim-domain", "removal-recipient", "cfbl-feedback-id")
_PROSE = re.compile(r"^[ \t]*+([A-Za-z][A-Za-z -]{2,30}?)[ \t]*+:[ \t]*+(\S.*)$", re.MULTILINE)
_PROSE_STARTS = re.compile(
    r"failed the published DMARC policy|DMARC (?:forensic|failure) report", re.IGNORECASE
)
_COPY_OF_HEADERS = re.compile(
    r"^-{3,99}+[^\n-]{0,99}?(?:headers|message)[^\n]*+\n*+", re.MULTILINE | re.IGNORECASE
)


def read(mail: Part) -> Report | None:
    """The report if the mail is one; None otherwise."""
    parts = mail.parts
    for at, part in enumerate(parts):
        if part.type == "message/feedback-report":
            return _report(mail, part, _reported(parts, at))
        if part is not mail and _looks_like_one(part):
            return _report(mail, part, _reported(parts, at))
    reported = mail if "x-hmxmroriginalrecipient" in mail.fields else mail.attached
    subject = _JMRP_SUBJECT.search(mail.get("subject"))
    if reported and (subject or "x-hmxmroriginalrecipient" in reported.fields):
        return _jmrp(reported, subject[1] if subject else None)
    return _prose(mail, parts)


def _looks_like_one(part: Part) -> bool:
    return part.type == "text/plain" and b"feedback-type:" in part.content()[:4_000].lower()


def _reported(parts: tuple[Part, ...], at: int) -> Part | None:
    """The reported mail: the attached mail after the report part, or else before it."""
    for part in (*parts[at + 1 :], *parts[:at]):
        if part.is_mail and part.children:
            return part.children[0]
    return None


def _report(mail: Part, part: Part, reported: Part | None) -> Report | None:
    said: dict[str, list[str]] = defaultdict(list)
    for name, value, _ in fields.block(part.content()[:100_000]):
        said[name].append(value)
    if "feedback-type" not in said:
        return None
    auth = said["feedback-type"][0].lower().startswith("auth-failure")
    dmarc = auth and ("identity-alignment" in said or _first(said, "auth-failure")[:5].lower() == "dmarc")
    return Report(
        kind=Kind.DMARC_FAILURE if dmarc else Kind.ARF,
        feedback=_feedback(mail, said, reported),
        original_headers=original.headers(
            reported, {name: said[name][0] for name in _STATED if said.get(name)}
        ),
    )


def _first(said: dict[str, list[str]], *names: str) -> str:
    return next((said[name][0] for name in names if said.get(name)), "")


def _feedback(mail: Part, said: dict[str, list[str]], reported: Part | None) -> Feedback:
    mail_from = _first(said, "original-mail-from")
    recipients = tuple(one for value in said["original-rcpt-to"] if (one := fields.address(value)))
    source_ip = _first(said, "source-ip").strip("[]") or None
    incidents = _first(said, "incidents")
    shown = [*recipients, reported.get("to") if reported else ""]
    blotted_out = (
        "redacted-address" in said
        or (source_ip is not None and not original.is_ip(source_ip))
        or (reported is not None and not reported.fields)
        or any(map(original.is_redacted, shown))
    )
    return Feedback(
        type=_first(said, "feedback-type").split(";")[0].strip().lower(),
        user_agent=_first(said, "user-agent") or None,
        version=_first(said, "version") or None,
        source_ip=source_ip,
        original_mail_from=fields.address(mail_from) or None,
        original_rcpt_to=recipients,
        arrival_at=fields.moment(_first(said, "arrival-date", "received-date")),
        reported_domain=tuple(said["reported-domain"]),
        reported_uri=tuple(said["reported-uri"]),
        message_id=original.message_id(reported) or _first(said, "original-message-id") or None,
        redacted=blotted_out,
        provider=sources.provider(mail, _first(said, "user-agent")),
        incidents=int(incidents) if incidents.isdecimal() and len(incidents) < 10 else 1,
        auth_failure=_first(said, "auth-failure").lower() or None,
        identity_alignment=_first(said, "identity-alignment").lower() or None,
        delivery_result=_first(said, "delivery-result").lower() or None,
        feedback_id=original.feedback_id(reported),
        inferred=original.infer(reported),
    )


def _jmrp(reported: Part, source_ip: str | None) -> Report:
    return Report(
        kind=Kind.ARF,
        feedback=Feedback(
            type="abuse",
            source_ip=source_ip,
            message_id=original.message_id(reported),
            provider="microsoft",
            feedback_id=original.feedback_id(reported),
            inferred=original.infer(reported),
        ),
        original_headers=original.headers(reported),
    )


def _prose(mail: Part, parts: tuple[Part, ...]) -> Report | None:
    """A DMARC failure told in words only, with the reported header pasted below (seen from Exim)."""
    texts = [part for part in parts if part.type == "text/plain"] if mail.type == "multipart/report" else []
    if not texts:
        return None
    text = texts[0].text()
    if not _PROSE_STARTS.search(mail.get("subject") + "\n" + text[:1_000]):
        return None
    found = _COPY_OF_HEADERS.search(text)
    words, pasted = (text[: found.start()], text[found.end() :]) if found else (text, "")
    said = {name.lower(): value.strip() for name, value in _PROSE.findall(words)}
    reported = mime.head(pasted.encode())
    return Report(
        kind=Kind.DMARC_FAILURE,
        feedback=Feedback(
            type="auth-failure",
            source_ip=said.get("sender ip address"),
            arrival_at=fields.moment(said.get("received date", "")),
            reported_domain=(said["sender domain"],) if "sender domain" in said else (),
            message_id=original.message_id(reported),
            provider=sources.provider(mail, ""),
            auth_failure="dmarc",
            inferred=original.infer(reported),
        ),
        original_headers=original.headers(reported),
    )

