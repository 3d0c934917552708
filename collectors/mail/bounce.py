"""Bounces written in words instead of RFC 3464: the failed recipients, and the returned mail.

Who failed is read by `bounce_text`, why by `judgement`; this module hands them the right texts. The
returned mail is an attached one, or its header pasted below the words, as qmail and Exim do.
"""

from __future__ import annotations

import functools
import re

from collectors.mail import bounce_text, html_text, mime, original, sources
from collectors.mail import bounce_text_forms as forms
from collectors.mail.mime import Part
from collectors.mail.report import Kind, Recipient, Report
from collectors.replies.judgement import Judgement, judge

_MOST_TEXTS, _MOST_DIAGNOSTIC = 10, 4_000
_MANY = 100  # recipients of a report that may be longer than what is read of it
_STILL_TRYING = (
    "still trying", "still being tr", "still being retried", "still undelivered", "will continue",
    "will keep trying", "will be retried", "will be trying", "will retry", "warning: could not",
    "warning: message", "delayed mail", "delayed delivery", "delivery delayed", "delivery is delayed",
    "has been delayed", "is delayed", "do not need to resend", "no need to resend", "not yet been delivered",
    "delivery attempts will continue", "temporary non-fatal", "transient non-fatal",
)
_PASTED = re.compile(
    rb"(?:\A|\n[ \t]*\r?\n)(?=(?:Return-Path|Received|Delivered-To|Message-ID|From|Date|To|Subject"
    rb"|DKIM-Signature|DomainKey-Signature|MIME-Version|X-[\w-]{1,60})[ \t]*:)",
    re.IGNORECASE,
)


def read(mail: Part) -> Report | None:
    """The bounce if the mail is one; None otherwise."""
    texts = _texts(mail)
    failures = bounce_text.read(mime.Headers(mail), texts)
    if not failures:
        return None
    action = "delayed" if _is_still_tried(mail, texts, failures) else "failed"
    return Report(
        kind=Kind.BOUNCE,
        recipients=tuple(_recipient(failure, action) for failure in failures),
        remarks=_remarks(texts, failures),
        original_headers=original.headers(_returned(mail)),
    )


def _remarks(texts: list[str], failures: tuple[bounce_text.Failure, ...]) -> tuple[str, ...]:
    if len(failures) >= bounce_text.RECIPIENTS or (len(failures) >= _MANY and bounce_text.is_cut(texts)):
        return (f"only the first {len(failures)} recipients were read",)
    return ()


def _is_still_tried(mail: Part, texts: list[str], failures: tuple[bounce_text.Failure, ...]) -> bool:
    """Whether it is a warning only: the words say so, and no server has refused for good."""
    if any((failure.status or failure.reply_code or "").startswith("5") for failure in failures):
        return False
    opening = f"{mail.get('subject')}\n{texts[0][:3_000] if texts else ''}".lower()
    return any(words in opening for words in _STILL_TRYING)


def nameless(mail: Part) -> Report | None:
    """A bounce that does not say who failed: whose mail it was may still be known from the returned one."""
    subject, text = mail.get("subject")[:300], "\n".join(_texts(mail))[:3_000]
    if not forms.SUBJECT.search(subject) or forms.LOOKALIKE.search(f"{subject}\n{text}"):
        return None
    looks_like_a_system = forms.DAEMON.search(mail.get("from")[:300]) and forms.FAILURE.search(text)
    if not (looks_like_a_system or sources.is_from_a_system(mail)):
        return None
    return Report(Kind.BOUNCE, original_headers=original.headers(_returned(mail)))


def _returned(mail: Part) -> Part | None:
    return mail.attached or _pasted(mail)


def _recipient(failure: bounce_text.Failure, action: str) -> Recipient:
    judgement = _judge(failure.status, failure.reply_code, failure.diagnostic)
    return Recipient(
        address=failure.address,
        action=action,
        status=judgement.status,
        diagnostic=failure.diagnostic[:_MOST_DIAGNOSTIC],
        judgement=judgement,
    )


@functools.lru_cache(maxsize=8)  # one reason may be given for thousands
def _judge(status: str | None, reply_code: str | None, text: str) -> Judgement:
    return judge(status, reply_code, text)


def _texts(mail: Part) -> list[str]:
    """Plain texts in order; HTML as words only where nothing is plain."""
    leaves = [part for part in mail.parts if not part.children and not part.is_mail]
    plain = [part.text(bounce_text.TEXT_LIMIT) for part in leaves if part.type.startswith(("text/plain", "multipart/"))]
    if any(text.strip() for text in plain):
        return plain[:_MOST_TEXTS]
    return [html_text.words(part.text(bounce_text.TEXT_LIMIT)) for part in leaves if part.type.startswith("text/")][:_MOST_TEXTS]


def _pasted(mail: Part) -> Part | None:
    """The returned mail's header where it was pasted into the text."""
    for part in mail.parts:
        if part.children or part.is_mail or not part.type.startswith(("text/", "multipart/")):
            continue
        raw = part.content()[:200_000]
        for start, _ in zip(_PASTED.finditer(raw), range(10), strict=False):
            returned = mime.head(raw[start.end() : start.end() + 50_000])
            if "message-id" in returned.fields or {"from", "subject"} <= returned.fields.keys():
                return returned
    return None
