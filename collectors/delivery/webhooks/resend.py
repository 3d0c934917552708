"""Resend's webhook (Svix): one event a post, signed (HMAC-SHA256) over id, time and body.

Source: Resend documentation, webhooks; Svix, verifying payloads. A bounce of type `Suppressed` was never sent.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

import orjson

from collectors.delivery.outcomes import Outcome
from collectors.delivery.webhooks.proof import NotProvenError, Post, recent
from collectors.delivery.webhooks.relay import Json, Relay, text_at


def _proof(post: Post) -> None:
    name, at = post.headers.get("svix-id", ""), post.headers.get("svix-timestamp", "")
    try:
        key = base64.b64decode(post.secret.removeprefix("whsec_"), validate=True)
    except (ValueError, binascii.Error):
        raise NotProvenError("the secret that is configured is none of Svix: whsec_…") from None
    wanted = b"v1," + base64.b64encode(hmac.new(key, f"{name}.{at}.".encode() + post.body, hashlib.sha256).digest())
    if not any(hmac.compare_digest(wanted, each.encode()) for each in post.headers.get("svix-signature", "").split()):
        raise NotProvenError("the signature is not by the key that is configured")
    recent(at, post.now)


def _events(post: Post) -> Sequence[Json]:
    """One event for each address of the mail."""
    stated = orjson.loads(post.body)
    to = stated["data"].get("to") or [None]
    recipients = to if isinstance(to, list) else [to]
    name = post.headers.get("svix-id") or hashlib.sha256(post.body).hexdigest()
    return [{**stated, "recipient": each, "key": f"{name}:{each}"} for each in recipients]


def _refined(event: Json, outcome: Outcome) -> Outcome:
    if outcome is not Outcome.BOUNCED:
        return outcome
    words = f"{text_at(event, 'data.bounce.type')} {text_at(event, 'data.bounce.subType')} {text_at(event, 'data.bounce.message')}".lower()
    return Outcome.NOT_ATTEMPTED if "suppress" in words else outcome


RELAY = Relay(
    name="resend",
    proof=_proof,
    events=_events,
    word="type",
    outcomes={
        "email.sent": Outcome.ACCEPTED,
        "email.delivered": Outcome.DELIVERED,
        "email.delivery_delayed": Outcome.DEFERRED,
        "email.bounced": Outcome.BOUNCED,
        "email.failed": Outcome.NOT_ATTEMPTED,
        "email.suppressed": Outcome.NOT_ATTEMPTED,
        "email.complained": Outcome.COMPLAINED,
    },
    fields={"at": "created_at", "recipient": "recipient", "sender": "data.from", "message_id": "data.message_id|data.email_id", "text": "data.bounce.message"},
    names={"campaign": "data.broadcast_id", "meta:customer": "data.tags.customer"},
    key="key",
    refined=_refined,
)
