"""Amazon SES by SNS: notifications and published events, signed by SNS (RSA) with a certificate of Amazon's.

Source: SES developer guide, notification contents and event publishing; SNS developer guide, verifying signatures. One notice may be about
several recipients: each is an event. One complaint counts per feedbackId; where it lists several recipients (the provider hides which),
none is named. What Amazon's suppression list stopped was never sent. A late bounce is a bounce; the delivery stays.

May be wrong: the signature shows that SNS sent it, and anybody can have a topic: only with `topics` configured are bounces and complaints
`verified`. SNS repeats a message for hours with its first time, so the time is not judged: a repeat counts once by its key.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from collectors.delivery.outcomes import Outcome
from collectors.delivery.webhooks.proof import NotProvenError, Post
from collectors.delivery.webhooks.relay import Json, Relay

_HOST = r"https://sns\.[a-z0-9-]{3,40}\.amazonaws\.com(?:\.cn)?"
_CERTIFICATE = re.compile(_HOST + r"/SimpleNotificationService-[A-Za-z0-9]{1,80}\.pem")
_CONFIRMATION = re.compile(_HOST + r"/\?Action=ConfirmSubscription&\S{1,2000}")
_CONFIRM = "SubscriptionConfirmation"
_SIGNED: Mapping[str, Sequence[str]] = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    _CONFIRM: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_HASHES: Mapping[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303 - version 1 is what SNS signs with unless asked
_SUPPRESSED = frozenset({"Suppressed", "OnAccountSuppressionList"})
_PLACES = {  # word → where its part is, and the list of recipients in it
    "Bounce": ("bounce", "bouncedRecipients"),
    "Complaint": ("complaint", "complainedRecipients"),
    "Delivery": ("delivery", "recipients"),
    "DeliveryDelay": ("deliveryDelay", "delayedRecipients"),
}


def _proof(post: Post) -> None:
    try:
        envelope = orjson.loads(post.body)
        names = _SIGNED[envelope["Type"]]
        text = "".join(f"{name}\n{envelope[name]}\n" for name in names if envelope.get(name) is not None)
        algorithm = _HASHES[str(envelope["SignatureVersion"])]
        signature, url, topic = base64.b64decode(envelope["Signature"], validate=True), str(envelope["SigningCertURL"]), envelope["TopicArn"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NotProvenError("not a message of SNS with its signature (raw message delivery has none: switch it off)", challenge=True) from None
    if not _CERTIFICATE.fullmatch(url) or post.certificate is None:
        raise NotProvenError("the certificate is not at an address of Amazon SNS")
    if post.topics and topic not in post.topics:
        raise NotProvenError("a topic that is not configured")
    try:
        _key(post.certificate(url)).verify(signature, text.encode(), padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        raise NotProvenError("the signature is not Amazon's") from None


@lru_cache(maxsize=16)
def _key(certificate: bytes) -> rsa.RSAPublicKey:
    try:
        key = x509.load_pem_x509_certificate(certificate).public_key()
    except ValueError:
        raise NotProvenError("the certificate cannot be read") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise NotProvenError("the certificate holds no RSA key")
    return key


def _confirm(post: Post) -> str | None:
    """Where a subscription is confirmed."""
    envelope = orjson.loads(post.body)
    url = str(envelope.get("SubscribeURL"))
    return url if envelope["Type"] == _CONFIRM and _CONFIRMATION.fullmatch(url) else None


def _events(post: Post) -> Sequence[Json]:
    envelope = orjson.loads(post.body)
    if envelope.get("Type", "Notification") != "Notification":
        return [{"word": envelope["Type"]}]
    notice = orjson.loads(envelope["Message"]) if "Message" in envelope else envelope  # a file may hold bare notices
    return list(_of_recipients(notice)) if isinstance(notice, dict) else [{"word": "no notice"}]


def _of_recipients(notice: Mapping[str, Any]) -> Iterator[Json]:
    """One event a recipient, each with all there is about it."""
    word, mail = str(notice.get("notificationType") or notice.get("eventType") or "no notice"), notice.get("mail") or {}
    place, listed = _PLACES.get(word, ("", ""))
    part = notice.get(place) or {}
    recipients = part.get(listed) if place else mail.get("destination")
    common = {"word": word, "mail": mail, "part": part, "at": part.get("timestamp") or mail.get("timestamp")}
    if word == "Complaint" and (recipients is None or len(recipients) != 1):
        recipients = [None]
    for each in recipients or [None]:
        about = each if isinstance(each, dict) else {"emailAddress": each}
        key = f"{part.get('feedbackId') or mail.get('messageId')}:{word}:{about.get('emailAddress')}:{common['at']}"
        yield {**common, "recipient": about, "key": f"{part['feedbackId']}:{word}" if word == "Complaint" and part.get("feedbackId") else key}


def _refined(event: Json, outcome: Outcome) -> Outcome:
    part = event["part"]
    if part.get("bounceSubType") in _SUPPRESSED or part.get("complaintSubType") in _SUPPRESSED:
        return Outcome.NOT_ATTEMPTED
    return outcome


RELAY = Relay(
    name="ses",
    proof=_proof,
    confirm=_confirm,
    verified=lambda post: bool(post.topics),
    events=_events,
    word="word",
    outcomes={
        "Send": Outcome.ACCEPTED,
        "Delivery": Outcome.DELIVERED,
        "DeliveryDelay": Outcome.DEFERRED,
        "Bounce": Outcome.BOUNCED,
        "Complaint": Outcome.COMPLAINED,
        "Reject": Outcome.NOT_ATTEMPTED,
        "Rendering Failure": Outcome.NOT_ATTEMPTED,
    },
    fields={
        "at": "at", "recipient": "recipient.emailAddress", "sender": "mail.source", "message_id": "mail.commonHeaders.messageId|mail.messageId",
        "status": "recipient.status", "text": "recipient.diagnosticCode|part.smtpResponse", "ip": "part.sendingIp",
    },
    names={"campaign": "mail.tags.campaign.0", "meta:customer": "mail.tags.customer.0", "pool": "mail.tags.ses:source-ip-pool.0",
           "meta:configuration_set": "mail.tags.ses:configuration-set.0"},
    key="key",
    refined=_refined,
)  # fmt: skip
