"""Brevo's transactional webhook: one event a post, shown to be Brevo's by user and password.

Source: Brevo documentation, transactional webhooks. `blocked`, `invalid_email` and `error` were never sent. A `soft_bounce` is a failure for now.
"""

from __future__ import annotations

from collectors.delivery.outcomes import Outcome
from collectors.delivery.webhooks.proof import password
from collectors.delivery.webhooks.relay import Relay, json_events

RELAY = Relay(
    name="brevo",
    proof=password,
    events=json_events,
    word="event",
    outcomes={
        "request": Outcome.ACCEPTED,
        "delivered": Outcome.DELIVERED,
        "deferred": Outcome.DEFERRED,
        "soft_bounce": Outcome.DEFERRED,
        "hard_bounce": Outcome.BOUNCED,
        "blocked": Outcome.NOT_ATTEMPTED,
        "invalid_email": Outcome.NOT_ATTEMPTED,
        "error": Outcome.NOT_ATTEMPTED,
        "spam": Outcome.COMPLAINED,
        "complaint": Outcome.COMPLAINED,
    },
    fields={
        "at": "ts_event|ts", "recipient": "email", "sender": "sender_email", "ip": "sending_ip", "message_id": "message-id",
        "text": "reason",
    },
    names={"campaign": "tags.0|tag", "meta:template_id": "template_id"},
    key="",
)  # fmt: skip
