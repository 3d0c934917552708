"""Postal's webhook: one event a post, signed (RSA with SHA-1) over the body.

Source: Postal documentation, webhooks. `Held` waits for its operator. `MessageBounced` is a mail that came back, which anybody can send.
"""

from __future__ import annotations

from collectors.delivery.outcomes import Outcome
from collectors.delivery.webhooks.proof import NotProvenError, Post, rsa_sha1
from collectors.delivery.webhooks.relay import Relay, json_events


def _proof(post: Post) -> None:
    stated = post.headers.get("x-postal-signature")
    if not stated:
        raise NotProvenError("no signature of Postal's")
    rsa_sha1(post.secret, post.body, stated)


RELAY = Relay(
    name="postal",
    proof=_proof,
    events=json_events,
    word="event",
    outcomes={
        "MessageSent": Outcome.DELIVERED,
        "MessageDelayed": Outcome.DEFERRED,
        "MessageDeliveryFailed": Outcome.BOUNCED,
        "MessageHeld": Outcome.HELD_BY_US,
        "MessageBounced": Outcome.ASYNC_BOUNCED,
    },
    fields={
        "at": "payload.timestamp|timestamp", "recipient": "payload.message.to|payload.original_message.to",
        "sender": "payload.message.from|payload.original_message.from", "message_id": "payload.message.message_id|payload.original_message.message_id",
        "text": "payload.output|payload.details",
    },
    names={"campaign": "payload.message.tag|payload.original_message.tag"},
    key="uuid",
)  # fmt: skip
