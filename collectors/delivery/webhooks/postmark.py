"""Postmark's webhooks: one event a post, shown to be Postmark's by a user and password in the webhook's address.

Source: Postmark developer documentation, Webhooks and Bounce types. Of its bounce types some are deferrals, some its own lists (never
sent), some not bounces at all (absence notes, challenges, subscriptions).

May be wrong: anybody who knows the password can post; only bounces and complaints have an id, deliveries are known by message,
recipient and time.
"""

from __future__ import annotations

from collectors.delivery.outcomes import Outcome
from collectors.delivery.webhooks.proof import password
from collectors.delivery.webhooks.relay import Json, Relay, json_events

_TYPES = {
    "Transient": Outcome.DEFERRED,
    "DnsError": Outcome.DEFERRED,
    "HardBounce": Outcome.BOUNCED,
    "SoftBounce": Outcome.BOUNCED,
    "Unknown": Outcome.BOUNCED,
    "SMTPApiError": Outcome.NOT_ATTEMPTED,
    "Blocked": Outcome.BLOCKED,
    "SpamNotification": Outcome.BLOCKED,
    "VirusNotification": Outcome.BLOCKED,
    "DMARCPolicy": Outcome.BLOCKED,
    "TemplateRenderingFailed": Outcome.NOT_ATTEMPTED,
    "BadEmailAddress": Outcome.NOT_ATTEMPTED,
    "ManuallyDeactivated": Outcome.NOT_ATTEMPTED,
    "Unconfirmed": Outcome.NOT_ATTEMPTED,
    "InactiveRecipient": Outcome.NOT_ATTEMPTED,
    "InboundError": None,
    "SpamComplaint": Outcome.COMPLAINED,
}


def _refined(event: Json, outcome: Outcome) -> Outcome | str:
    if outcome is not Outcome.BOUNCED:
        return outcome
    kind = str(event.get("Type"))
    return _TYPES.get(kind) or kind


RELAY = Relay(
    name="postmark",
    proof=password,
    events=json_events,
    word="RecordType",
    outcomes={"Delivery": Outcome.DELIVERED, "Bounce": Outcome.BOUNCED, "SpamComplaint": Outcome.COMPLAINED},
    fields={
        "at": "DeliveredAt|BouncedAt", "recipient": "Recipient|Email", "sender": "From", "message_id": "MessageID",
        "text": "Details|Description",
    },
    names={"campaign": "Tag", "pool": "MessageStream", "meta:server": "ServerID", "meta:customer": "Metadata.customer"},
    key="ID",
    refined=_refined,
)  # fmt: skip
