"""Bounces told in words instead of RFC 3464: the failed recipients, and the returned mail where it can be found.

Who failed is read by `bounce_text`, why by `judgement`; this module hands them the right texts. The returned mail
is an attached one, or its header pasted below the words, as qmail and Exim do.
"""

from __future__ import annotations

import re

from collectors.mail import bounce_text, bounce_text_forms, fields, html_text, original
from collectors.mail.judgement import judge
from collectors.mail.mime import Part
from collectors.mail.report import Kind, Recipient, Report

_MOST_TEXTS, _MOST_DIAGNOSTIC = 10, 4_000
_STILL_TRYING = re.compile(
    r"still (?:being )?(?:trying|retried|undelivered)|will (?:continue|keep|be) (?:to try|trying|retr)|warning: (?:could not|message)"
    r"|delayed (?:mail|delivery)|(?:mail|delivery|message)[\w ]{0,30} delayed|no(?:t| need to) (?:need to )?resend|not yet been delivered"
    r"|delivery attempts will continue|temporary non-fatal|will be retried",
    re.IGNORECASE,
)
_PASTED = re.compile(
    rb"(?:\A|\n[ \t]*\r?\n)(?=(?:Return-Path|Received|Delivered-To|Message-ID|From|Date|To|Subject|DKIM-Signature"
    rb"|DomainKey-Signature|MIME-Version|X-[\w-]{1,60})[ \t]*:)",
    re.IGNORECASE,
)


def read(mail: Part) -> Report | None:
    """The bounce if the mail is one; None otherwise."""
    parts = list(mail.walk())
    texts = _texts(parts)
    failures = bounce_text.read({name: mail.get(name) for name in mail.fields}, texts)
    if not failures:
        return None
    returned = _returned(parts)
    action = "delayed" if _STILL_TRYING.search(mail.get("subject") + "\n" + "\n".join(texts)[:3_000]) else "failed"
    return Report(
        kind=Kind.BOUNCE,
        recipients=tuple(_recipient(one, action) for one in failures),
        original_headers=original.headers(returned),
    )


def nameless(mail: Part) -> Report | None:
    """A bounce that does not say who failed: whose mail it was may still be told from the returned one."""
    by_a_system = bounce_text_forms.DAEMON.search(mail.get("from")[:300]) or mail.get("return-path") == "<>"
    if by_a_system and bounce_text_forms.SUBJECT.search(mail.get("subject")[:300]):
        return Report(Kind.BOUNCE, original_headers=original.headers(_returned(list(mail.walk()))))
    return None


def _returned(parts: list[Part]) -> Part | None:
    return next((part.children[0] for part in parts if part.is_mail and part.children), None) or _pasted(parts)


def _recipient(failure: bounce_text.Failure, action: str) -> Recipient:
    judgement = judge(failure.status, failure.reply_code, failure.diagnostic)
    return Recipient(
        address=failure.address,
        action=action,
        status=judgement.status,
        diagnostic=failure.diagnostic[:_MOST_DIAGNOSTIC],
        judgement=judgement,
    )


def _texts(parts: list[Part]) -> list[str]:
    """Plain texts in order; HTML as words only where nothing is plain."""
    leaves = [part for part in parts if not part.children and not part.is_mail]
    plain = [part.text() for part in leaves if part.type in {"text/plain", "text"} or part.type.startswith("multipart/")]
    if any(text.strip() for text in plain):
        return plain[:_MOST_TEXTS]
    return [html_text.words(part.text()) for part in leaves if part.type.startswith("text/")][:_MOST_TEXTS]


def _pasted(parts: list[Part]) -> Part | None:
    """The returned mail's header where it was pasted into the text."""
    for part in parts:
        if part.children or part.is_mail or not part.type.startswith(("text/", "multipart/")):
            continue
        raw = part.content()[:200_000]
        for start, _ in zip(_PASTED.finditer(raw), range(10), strict=False):
            found, body, _ = fields.split(raw, start.end(), len(raw), 500)
            if "message-id" in found or ("from" in found and "subject" in found):
                return Part(raw, body, len(raw), found)
    return None
