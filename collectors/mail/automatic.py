"""Mails written by machines for a person: absence notes, challenges, read receipts, unsubscribe requests.

RFC 3834 (Auto-Submitted), RFC 8098 (receipts), RFC 2369 (mailto unsubscribe). None of them is a bounce or a
complaint, whatever words it uses. Subjects decide where the header is silent, which is often wrong in
languages that are not listed.
"""

from __future__ import annotations

import re

from collectors.mail import dsn, fields, original, sources
from collectors.mail.mime import Part
from collectors.mail.report import Kind, Report

_AWAY_SUBJECT = re.compile(
    r"^\W*+(?:re: ?|aw: ?)?\[?(?:auto(?:matic|mated)?[ -]?(?:repl|resp|antwort|svar)|out of (?:the )?office"
    r"|on vacation|vacation|away from|i am (?:away|out)|ooo\b|auto: |abwesen|automatische antwort"
    r"|(?:réponse|reponse) automatique|absence|absent|respuesta autom|fuera de|resposta autom"
    r"|risposta autom|assente|automatisch antwoord|afwezig|autosvar|frånvaro|poza biurem"
    r"|automatyczna odpowied|автоответ|отсутств|自動応答|自動返信|自动回复|自動回覆)",
    re.IGNORECASE,
)
_CHALLENGE_SUBJECT = re.compile(
    r"^\W*+(?:please (?:confirm|verify|authenticate) (?:your|that)|confirm your (?:message|e-?mail)"
    r"|.{0,40}verification required|.{0,40}challenge[- ]response"
    r"|your (?:e-?mail|message) (?:requires|needs) (?:verification|confirmation))",
    re.IGNORECASE,
)
_AWAY_FIELDS = frozenset({
    "x-autoreply", "x-autorespond", "x-autoresponse", "x-auto-reply", "x-autoreply-from", "x-mail-autoreply",
})
_UNSUBSCRIBE_SUBJECT = re.compile(
    r"^\W*+(?:re: ?)?(?:unsubscribe|un-?subscribe me|list-unsubscribe|opt[- ]?out|remove(?: me)?|abmeld"
    r"|abbestell|d[ée]sabonn|d[ée]sinscri|cancelar? (?:la )?suscripci|disiscri|afmeld|avregistr|отпис)",
    re.IGNORECASE,
)
_UNSUBSCRIBE_ADDRESS = re.compile(
    r"^(?:[^@]*[+._-])?(?:list-?)?unsub(?:scribe)?(?:[+._=-][^@]*)?@", re.IGNORECASE
)
_REJECTED = re.compile(r"was (?:automatically )?rejected", re.IGNORECASE)
_LONGEST_REQUEST = 10_000  # a request to be left out is short; a longer mail is somebody writing


def receipt(mail: Part) -> Report | None:
    """A disposition notification (RFC 8098): the mail arrived. Dovecot sends one also for what it rejects."""
    for part in mail.parts:
        if part.type == "message/disposition-notification":
            words = next((text.text(4_000) for text in mail.parts if text.type == "text/plain"), "")
            rejected = dsn.rejected(part, mail) if _REJECTED.search(words) else None
            return rejected or _found(Kind.AUTOREPLY, mail)
    return None


def away(mail: Part) -> Report | None:
    """An absence note or a challenge by clear signs: fields of autoresponders, or the subject."""
    marked = bool(_AWAY_FIELDS & mail.fields.keys()) or "auto_reply" in mail.get("precedence").lower()
    subject = mail.get("subject")
    if marked or _AWAY_SUBJECT.search(subject) or _CHALLENGE_SUBJECT.search(subject):
        return _found(Kind.AUTOREPLY, mail)
    return None


def replied(mail: Part) -> Report | None:
    """Anything else that calls itself an automatic answer."""
    marked = mail.get("auto-submitted").lower()
    answers = marked.startswith(("auto-replied", "auto-notified", "vacation"))
    answers = answers or (marked.startswith("auto-generated") and "in-reply-to" in mail.fields)
    answers = answers or mail.get("x-apple-action").lower() == "vacation"
    return _found(Kind.AUTOREPLY, mail) if answers else None


def unsubscribe(mail: Part) -> Report | None:
    """A request to be left out, sent by a mail program following List-Unsubscribe, or by hand."""
    if mail.get("x-apple-unsubscribe").lower() == "true":
        return _found(Kind.UNSUBSCRIBE, mail)
    requested = _UNSUBSCRIBE_SUBJECT.match(mail.get("subject")) is not None or any(
        map(_UNSUBSCRIBE_ADDRESS.match, fields.addresses(mail.get("to"), 5))
    )
    if not requested or sources.is_from_a_system(mail) or len(mail.raw()) > _LONGEST_REQUEST:
        return None
    return _found(Kind.UNSUBSCRIBE, mail)


def _found(kind: Kind, mail: Part) -> Report:
    return Report(kind, original_headers=original.headers(mail.attached))
