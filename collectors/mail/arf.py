"""Feedback reports: ARF (RFC 5965, 6430, 6590, 6591), CFBL (RFC 9477), DMARC failures (RFC 9991).

Also Microsoft's JMRP until June 2026, which attached the mail (or, long ago, wrote its own fields on top of
it) without any feedback-report part. The report part is known by its content, not only by its type: Comcast
sends multipart/mixed with base64, others text/plain. The stated fields may be masked by the provider
(hashes, `redacted`, `x.x.x.x`) and are then kept as stated; an IP is given in its usual spelling.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from collectors.mail import fields, ip, original, prose_failure, sources, times
from collectors.mail.mime import Part
from collectors.mail.report import MOST_REPORTS, TOO_MANY, Feedback, Kind, Report

_JMRP_SUBJECT = re.compile(r"complaint about message from\s+(\S.*)", re.IGNORECASE | re.DOTALL)
_STATED = ("original-envelope-id", "dkim-domain", "removal-recipient", "cfbl-feedback-id")

Stated = dict[str, list[str]]  # lower-case name → values of the report part, in order


def read(mail: Part) -> Report | None:
    """The report if the mail is one; None otherwise."""
    parts = mail.parts
    typed = [at for at, part in enumerate(parts) if part.type == "message/feedback-report"]
    untyped = (at for at, part in enumerate(parts) if part is not mail and _looks_like_report(part))
    for at in typed[:1] or untyped:
        if report := _report(mail, parts[at], _reported(parts, at)):
            return dataclasses.replace(report, others=tuple(_others(mail, parts, typed[1:])))
        break
    reported = mail if "x-hmxmroriginalrecipient" in mail.fields else mail.attached
    subject = _JMRP_SUBJECT.search(mail.get("subject"))
    if reported and (subject or "x-hmxmroriginalrecipient" in reported.fields):
        return _jmrp(reported, subject[1] if subject else "")
    return prose_failure.read(mail)


def _others(mail: Part, parts: tuple[Part, ...], places: list[int]) -> Iterator[Report]:
    """Further report parts in the same mail (RFC 5965 allows one; some batch them), each with an identity of its own."""
    for at in places[:MOST_REPORTS]:
        if report := _report(mail, parts[at], _reported(parts, at)):
            content = parts[at].content() + ((report.feedback and report.feedback.message_id) or "").encode()
            yield dataclasses.replace(report, identity=hashlib.sha256(content).hexdigest())
    if len(places) > MOST_REPORTS:
        yield TOO_MANY


def _looks_like_report(part: Part) -> bool:
    return part.type == "text/plain" and b"feedback-type:" in part.content()[:4_000].lower()


def _reported(parts: tuple[Part, ...], at: int) -> Part | None:
    """The reported mail: the attached mail after the report part, or else before it."""
    for part in (*parts[at + 1 :], *parts[:at]):
        if part.is_mail and part.children:
            return part.children[0]
    return None


def _report(mail: Part, part: Part, reported: Part | None) -> Report | None:
    stated: Stated = defaultdict(list)
    for name, value, _ in fields.block(part.content()[:100_000]):
        stated[name].append(value)
    if "feedback-type" not in stated:
        return None
    auth = _word(stated, "feedback-type") == "auth-failure"
    dmarc = auth and ("identity-alignment" in stated or _word(stated, "auth-failure") == "dmarc")
    return Report(
        kind=Kind.DMARC_FAILURE if dmarc else Kind.ARF,
        feedback=_feedback(mail, stated, reported),
        original_headers=original.headers(
            reported, {name: stated[name][0] for name in _STATED if stated.get(name)}
        ),
    )


def _first(stated: Stated, *names: str) -> str:
    return next((stated[name][0] for name in names if stated.get(name)), "")


def _bare(value: str) -> str:
    """A structured value without comments and what some add after a semicolon."""
    return ip.without_comments(value).partition(";")[0].strip()


def _word(stated: Stated, name: str) -> str:
    return _bare(_first(stated, name)).lower()


def stated_ip(values: Iterable[str]) -> str | None:
    """The first usable address of these values, else the first as stated; None where nothing is stated."""
    present = [value.strip() for value in values if value.strip()]
    return next(filter(None, map(ip.read, present)), None) or next((value.strip("[]") for value in present), None)


def _recipients(stated: Stated) -> tuple[str, ...]:
    """The recipients: one per field as RFC 5965 asks for, or several in one; masked ones as stated."""
    listed = ((fields.addresses(value) if "," in value else []) or [fields.address(value)]
              for value in stated["original-rcpt-to"])
    return tuple(dict.fromkeys(address for addresses in listed for address in addresses if address))


def _feedback(mail: Part, stated: Stated, reported: Part | None) -> Feedback:
    recipients = _recipients(stated)
    source_ip = stated_ip(stated["source-ip"])
    incidents = _word(stated, "incidents")
    shown = [*recipients, reported.get("to") if reported else ""]
    masked = (
        "redacted-address" in stated
        or (source_ip is not None and ip.read(source_ip) is None)
        or (reported is not None and not reported.fields)
        or any(map(original.is_redacted, shown))
    )
    return Feedback(
        type=_word(stated, "feedback-type"),
        user_agent=_first(stated, "user-agent") or None,
        version=_bare(_first(stated, "version")) or None,
        source_ip=source_ip,
        original_mail_from=fields.address(_first(stated, "original-mail-from")) or None,
        original_rcpt_to=recipients,
        arrival_at=times.moment(_first(stated, "arrival-date", "received-date")),
        reported_domain=tuple(filter(None, map(_bare, stated["reported-domain"]))),
        reported_uri=tuple(filter(None, (uri.strip("<> ") for uri in stated["reported-uri"]))),
        message_id=original.message_id(reported) or _first(stated, "original-message-id") or None,
        redacted=masked,
        provider=sources.provider(mail, _first(stated, "user-agent")),
        incidents=int(incidents) if incidents.isdecimal() and len(incidents) < 10 else 1,
        auth_failure=_word(stated, "auth-failure") or None,
        identity_alignment=_word(stated, "identity-alignment") or None,
        delivery_result=_word(stated, "delivery-result") or None,
        feedback_id=original.feedback_id(reported),
        inferred=original.infer(reported, source_ip),
    )


def _jmrp(reported: Part, subject: str) -> Report:
    source_ip = stated_ip([subject])
    return Report(
        kind=Kind.ARF,
        feedback=Feedback(
            type="abuse",
            source_ip=source_ip,
            message_id=original.message_id(reported),
            provider="microsoft",
            feedback_id=original.feedback_id(reported),
            inferred=original.infer(reported, source_ip),
        ),
        original_headers=original.headers(reported),
    )
