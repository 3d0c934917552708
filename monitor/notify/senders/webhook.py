"""A web hook whose receiver can know that it is from us: Standard Webhooks 1.0 (HMAC-SHA256 over id, timestamp and body).

The id is the message's key, the same at every attempt: whoever keeps it takes a message once. The timestamp is that of the
attempt, so that an old recording can be refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

import orjson

from monitor.notify.sender import Outgoing, Sent
from monitor.notify.senders import post

_PREFIX = "whsec_"


class Webhook:
    """`secret`: `whsec_` and base64 as that standard writes it, or any text of 16 characters at least."""

    def __init__(self, url: str, secret: str) -> None:
        self._url, self._key = url, secret_key(secret)

    def send(self, message: Outgoing) -> Sent:
        body = orjson.dumps({
            "key": message.key, "event": message.event, "severity": message.severity, "title": message.title, "body": message.body,
            "at": message.at, "incidents": list(message.items),
        })  # fmt: skip
        stamp = str(int(message.at.timestamp()))
        headers = {"webhook-id": message.key, "webhook-timestamp": stamp, "webhook-signature": signature(self._key, message.key, stamp, body)}
        answer = post.send(self._url, body, headers, now=message.at)
        return Sent(answer.error, answer.retry_after)


def secret_key(secret: str) -> bytes:
    """Raises ValueError for a secret too short to be one."""
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise ValueError(f"what follows {_PREFIX} is no base64") from None
    else:
        key = secret.encode()
    if len(key) < 16:
        raise ValueError("is too short to be a secret — write 16 characters at least")
    return key


def signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """The header `Webhook-Signature`."""
    digest = hmac.new(key, b".".join([message_id.encode(), timestamp.encode(), body]), hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()
