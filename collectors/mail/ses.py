"""Amazon SES notices: bounces and complaints as JSON, in a mail from SNS, wrapped by SNS, or bare.

https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html — `notificationType` in notifications,
`eventType` in event publishing; the same objects below. Transient bounces are failures too: SES gave up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from collectors.mail import dsn, fields
from collectors.mail.json_object import Object, inside, listed, text
from collectors.mail.mime import Part
from collectors.mail.report import Feedback, Kind, Recipient, Report

_MOST = 200_000
_JSON = json.JSONDecoder(strict=False)  # lines of a mail are wrapped inside strings too


def in_mail(mail: Part) -> Report | None:
    """The notice in a mail's text; None when there is none."""
    for part in mail.parts:
        if part.children or part.type not in {"text/plain", "application/json"}:
            continue
        content = part.content()
        if b'"notificationType"' not in content and b'"eventType"' not in content:
            continue
        words = part.text(_MOST)
        start = words.find("{")
        if start >= 0:
            try:
                said, _ = _JSON.raw_decode(words, start)
            except (ValueError, RecursionError):
                continue
            return read(said) if isinstance(said, dict) else None
    return None


def is_one(said: Object) -> bool:
    return isinstance(said.get("mail"), dict) and ("notificationType" in said or "eventType" in said)


def read(said: Object) -> Report | None:
    """The bounce or complaint in a notice; None for a notice of anything else."""
    if isinstance(wrapped := said.get("Message"), str) and "Type" in said:
        said = json.loads(wrapped, strict=False)
    about = inside(said, "mail")
    headers = {
        one["name"].lower(): str(one.get("value", ""))[:2_000]
        for one in listed(about, "headers", 150) if isinstance(one.get("name"), str)
    }
    headers.setdefault("message-id", text(about, "messageId"))
    headers.setdefault("return-path", text(about, "source"))
    if bounce := inside(said, "bounce"):
        return Report(Kind.BOUNCE, recipients=_bounced(bounce), original_headers=headers)
    if complaint := inside(said, "complaint"):
        return Report(Kind.ARF, feedback=_complaint(complaint, about, headers), original_headers=headers)
    return None


def _bounced(bounce: Object) -> tuple[Recipient, ...]:
    words = f"{text(bounce, 'bounceType')} {text(bounce, 'bounceSubType')}"
    found = (
        dsn.recipient(
            {
                "final-recipient": f"rfc822; {text(one, 'emailAddress')}",
                "action": text(one, "action") or "failed",
                "status": text(one, "status"),
                "diagnostic-code": text(one, "diagnosticCode"),
                "remote-mta": text(bounce, "remoteMtaIp"),
            },
            words,
        )
        for one in listed(bounce, "bouncedRecipients") if text(one, "emailAddress")
    )
    return tuple(one for one in found if one)


def _complaint(said: Object, about: Object, headers: Mapping[str, str]) -> Feedback:
    return Feedback(
        type=text(said, "complaintFeedbackType") or "abuse",
        user_agent=text(said, "userAgent") or None,
        original_mail_from=text(about, "source") or None,
        original_rcpt_to=tuple(text(one, "emailAddress") for one in listed(said, "complainedRecipients", 50)),
        arrival_at=fields.moment(text(said, "arrivalDate") or text(about, "timestamp")),
        message_id=headers["message-id"] or None,
        feedback_id="".join(headers.get("feedback-id", "").split()) or None,
    )

