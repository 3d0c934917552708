"""Twilio SendGrid's event webhook: an array of events, signed (ECDSA) over time and body.

Source: SendGrid, Event Webhook reference and its signature. A bounce of type `blocked` is a refusal that is no fault of the address.
Custom arguments stand among the fields: only named keys are read. `dropped` was never sent.
"""

from __future__ import annotations

from collectors.delivery.outcomes import Outcome
from collectors.delivery.webhooks.proof import NotProvenError, Post, ecdsa_sha256, recent
from collectors.delivery.webhooks.relay import Json, Relay, json_events

_SIGNATURE, _TIME = "x-twilio-email-event-webhook-signature", "x-twilio-email-event-webhook-timestamp"


def _proof(post: Post) -> None:
    stated = post.headers.get(_SIGNATURE)
    if not stated:
        raise NotProvenError("no signature: switch on the signed event webhook")
    at = post.headers.get(_TIME, "")
    ecdsa_sha256(post.secret, at.encode() + post.body, stated)
    recent(at, post.now)


def _refined(event: Json, outcome: Outcome) -> Outcome:
    return Outcome.BLOCKED if outcome is Outcome.BOUNCED and event.get("type") == "blocked" else outcome


RELAY = Relay(
    name="sendgrid",
    proof=_proof,
    events=json_events,
    word="event",
    outcomes={
        "processed": Outcome.ACCEPTED,
        "delivered": Outcome.DELIVERED,
        "deferred": Outcome.DEFERRED,
        "bounce": Outcome.BOUNCED,
        "blocked": Outcome.BLOCKED,
        "dropped": Outcome.NOT_ATTEMPTED,
        "spamreport": Outcome.COMPLAINED,
    },
    fields={
        "at": "timestamp", "recipient": "email", "ip": "ip", "message_id": "smtp-id|sg_message_id", "status": "status", "text": "response|reason",
        "sender": "from",
    },
    names={"pool": "pool.name", "campaign": "marketing_campaign_id|singlesend_id|category.0|category", "meta:asm_group_id": "asm_group_id"},
    key="sg_event_id",
    refined=_refined,
)  # fmt: skip
