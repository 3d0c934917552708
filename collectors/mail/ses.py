"""Amazon SES notices: bounces and complaints as JSON, in a mail from SNS, wrapped by SNS, or bare.

https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html — `notificationType` in notifications,
`eventType` in event publishing; the same objects below. https://docs.aws.amazon.com/sns/latest/dg/ — SNS wraps a
notice as a text in `Message` (e-mail as JSON), encoded once or twice, or passes it on as it is (raw delivery);
EventBridge puts it under `detail`, SQS and Lambda into `Records`. A confirmation of a subscription carries none.
Transient bounces are failures too: SES gave up.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from collectors.mail import dsn, times
from collectors.mail.json_object import Object, inside, listed, text
from collectors.mail.mime import Part
from collectors.mail.report import Feedback, Kind, Recipient, Report

_MOST = 200_000
_DEEPEST = 10  # wrappings, and encodings within them
_MOST_STARTS = 20
_JSON = json.JSONDecoder(strict=False)  # lines of a mail are wrapped inside strings too
_MARKS = (b"notificationType", b"eventType")
_SUBSCRIPTIONS = frozenset({"SubscriptionConfirmation", "UnsubscribeConfirmation"})


def in_mail(mail: Part) -> Report | None:
    """The notice in a mail's text; None when there is none."""
    for part in mail.parts:
        if part.children or part.type not in {"text/plain", "application/json"}:
            continue
        content = part.content()
        if any(mark in content for mark in _MARKS):
            return _in_text(part.text(_MOST))
        if b"SubscriptionConfirmation" in content and isinstance(stated := _object(part.text(_MOST)), dict):
            return read(stated)
    return None


def _in_text(words: str) -> Report | None:
    stated = _object(words)
    if stated is not None:
        return read(stated)
    broken = words.lstrip().startswith("{")
    return Report(Kind.UNREADABLE, error="a notice of SES, cut off or broken") if broken else None


def _object(words: str) -> Object | None:
    """The first JSON object in a text; SNS writes a footer below it. Not one inside another that is broken."""
    start = -1
    for _ in range(1 if words.lstrip().startswith("{") else _MOST_STARTS):
        start = words.find("{", start + 1)
        if start < 0:
            return None
        try:
            value, _ = _JSON.raw_decode(words, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and value:
            return value
    return None


def read(stated: Object) -> Report | None:
    """The bounces and complaints in a notice, however wrapped; `other` where it is of anything else.

    None where it is no notice of SES or SNS at all.
    """
    reports = [report for notice in _notices(stated, 0) if (report := _notice(notice))]
    if len(reports) > 1:
        reports = [dataclasses.replace(report, identity=_digest(report)) for report in reports]
        return dataclasses.replace(reports[0], others=tuple(reports[1:]))
    if reports:
        return reports[0]
    known = stated.get("Type") in _SUBSCRIPTIONS or any(_is_notice(notice) for notice in _notices(stated, 0))
    return Report(Kind.OTHER) if known else None


def _digest(report: Report) -> str:
    return hashlib.sha256(repr((report.kind, report.feedback, report.recipients)).encode()).hexdigest()


def _notices(stated: Any, depth: int) -> Iterator[Object]:
    """The notices in whatever wraps them."""
    if depth > _DEEPEST:
        return
    if isinstance(stated, str):
        try:
            stated = json.loads(stated, strict=False)
        except (ValueError, RecursionError):
            return
        yield from _notices(stated, depth + 1)
    elif isinstance(stated, list):
        for item in stated[:100]:
            yield from _notices(item, depth + 1)
    elif isinstance(stated, dict):
        if _is_notice(stated):
            yield stated
            return
        for name in ("Message", "detail", "Records", "Sns", "body"):
            if isinstance(wrapped := stated.get(name), str | list | dict):
                yield from _notices(wrapped, depth + 1)


def _is_notice(stated: Object) -> bool:
    return isinstance(stated.get("mail"), dict) and any(
        name in stated for name in ("notificationType", "eventType", "bounce", "complaint", "deliveryDelay")
    )


def _notice(notice: Object) -> Report | None:
    """The bounce, delay or complaint in a notice; None for a notice of anything else."""
    about = inside(notice, "mail")
    headers = {
        header["name"].lower(): str(header.get("value", ""))[:2_000]
        for header in listed(about, "headers", 150) if isinstance(header.get("name"), str)
    }
    headers.setdefault("message-id", text(about, "messageId"))
    headers.setdefault("return-path", text(about, "source"))
    if bounce := inside(notice, "bounce"):
        words = f"{text(bounce, 'bounceType')} {text(bounce, 'bounceSubType')}"
        recipients = _recipients(bounce, "bouncedRecipients", words, "failed")
        return Report(Kind.BOUNCE, recipients=recipients, original_headers=headers)
    if delay := inside(notice, "deliveryDelay"):
        recipients = _recipients(delay, "delayedRecipients", text(delay, "delayType"), "delayed")
        return Report(Kind.BOUNCE, recipients=recipients, original_headers=headers)
    if complaint := inside(notice, "complaint"):
        return Report(Kind.ARF, feedback=_complaint(complaint, about, headers), original_headers=headers)
    return None


def _recipients(stated: Object, name: str, words: str, action: str) -> tuple[Recipient, ...]:
    recipients = (
        dsn.recipient(
            {
                "final-recipient": f"rfc822; {text(each, 'emailAddress')}",
                "action": text(each, "action") or action,
                "status": text(each, "status"),
                "diagnostic-code": text(each, "diagnosticCode"),
                "remote-mta": text(stated, "remoteMtaIp"),
            },
            words,
        )
        for each in listed(stated, name) if text(each, "emailAddress")
    )
    return tuple(recipient for recipient in recipients if recipient)


def _complaint(stated: Object, about: Object, headers: Mapping[str, str]) -> Feedback:
    return Feedback(
        type=text(stated, "complaintFeedbackType") or "abuse",
        user_agent=text(stated, "userAgent") or None,
        original_mail_from=text(about, "source") or None,
        original_rcpt_to=tuple(text(each, "emailAddress") for each in listed(stated, "complainedRecipients", 50)),
        arrival_at=times.moment(text(stated, "arrivalDate") or text(about, "timestamp")),
        message_id=headers["message-id"] or None,
        feedback_id="".join(headers.get("feedback-id", "").split()) or None,
    )
