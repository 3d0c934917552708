"""Mailjet's event webhook: one event or an array, shown to be Mailjet's by user and password.

Source: Mailjet documentation, event tracking. `sent` is taken over by the receiver. A bounce that is not hard and greylisted is a deferral;
`blocked` was never sent.
"""

from __future__ import annotations

from collectors.delivery.outcomes import Outcome
from collectors.delivery.webhooks.proof import password
from collectors.delivery.webhooks.relay import Json, Relay, json_events


def _refined(event: Json, outcome: Outcome) -> Outcome:
    greylisted = event.get("error") == "greylisted" and not event.get("hard_bounce")
    return Outcome.DEFERRED if outcome is Outcome.BOUNCED and greylisted else outcome


RELAY = Relay(
    name="mailjet",
    proof=password,
    events=json_events,
    word="event",
    outcomes={"sent": Outcome.DELIVERED, "bounce": Outcome.BOUNCED, "blocked": Outcome.NOT_ATTEMPTED, "spam": Outcome.COMPLAINED},
    fields={"at": "time", "recipient": "email", "message_id": "Message_GUID|MessageID", "text": "smtp_reply|comment|error"},
    names={"campaign": "customcampaign|mj_campaign_id", "meta:CustomID": "CustomID", "meta:Payload": "Payload"},
    key="",
    refined=_refined,
)
