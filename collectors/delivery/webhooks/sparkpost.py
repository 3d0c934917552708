"""SparkPost's (and Momentum's) event webhook: an array of `{"msys": {"…_event": {…}}}`, shown to be theirs by user and password.

Source: SparkPost support-docs, webhooks and event types. `{"msys": {}}` is a ping. Batches come again whole unless answered in 10 seconds: each
event counts once by its `event_id`. An `out_of_band` bounce is a mail that anybody can send.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from collectors.delivery.momentum import CLASSES
from collectors.delivery.outcomes import Outcome
from collectors.delivery.webhooks.proof import Post, password
from collectors.delivery.webhooks.relay import Json, Relay, text_at


def _events(post: Post) -> Sequence[Json]:
    stated = orjson.loads(post.body)
    wrapped = stated if isinstance(stated, list) else [stated]
    return [next(iter(each["msys"].values()), {"type": "ping"}) for each in wrapped]


RELAY = Relay(
    name="sparkpost",
    proof=password,
    events=_events,
    word="type",
    outcomes={
        "injection": Outcome.ACCEPTED,
        "delivery": Outcome.DELIVERED,
        "delay": Outcome.DEFERRED,
        "bounce": Outcome.BOUNCED,
        "out_of_band": Outcome.ASYNC_BOUNCED,
        "policy_rejection": Outcome.NOT_ATTEMPTED,
        "generation_failure": Outcome.NOT_ATTEMPTED,
        "generation_rejection": Outcome.NOT_ATTEMPTED,
        "spam_complaint": Outcome.COMPLAINED,
    },
    fields={
        "at": "timestamp", "recipient": "raw_rcpt_to|rcpt_to", "sender": "msg_from|friendly_from", "ip": "sending_ip", "message_id": "message_id",
        "code": "error_code", "text": "raw_reason|reason",
    },
    names={"pool": "ip_pool", "campaign": "campaign_id", "meta:subaccount_id": "subaccount_id", "meta:customer": "rcpt_meta.customer",
           "meta:template_id": "template_id"},
    key="event_id",
    hint=lambda event: CLASSES.get(text_at(event, "bounce_class") or ""),
)  # fmt: skip
