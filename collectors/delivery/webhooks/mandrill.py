"""Mandrill's (Mailchimp Transactional) webhook: a form with `mandrill_events`, signed (HMAC-SHA1) over address and fields.

Source: Mailchimp Transactional documentation, webhooks and their authentication. `send` is accepted by Mandrill, not by the receiver.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import parse_qsl

import orjson

from collectors.delivery.outcomes import Outcome
from collectors.delivery.webhooks.proof import NotProvenError, Post
from collectors.delivery.webhooks.relay import Json, Relay

_FIELD = "mandrill_events"
_MOST_FIELDS = 20


def _form(post: Post) -> dict[str, str]:
    try:
        return dict(parse_qsl(post.body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise NotProvenError("not a form") from None


def _proof(post: Post) -> None:
    signed = post.url + "".join(name + value for name, value in sorted(_form(post).items()))
    wanted = base64.b64encode(hmac.new(post.secret.encode(), signed.encode(), hashlib.sha1).digest())  # what Mandrill signs with
    if not hmac.compare_digest(wanted, post.headers.get("x-mandrill-signature", "").encode()):
        raise NotProvenError("the signature is not by the key that is configured, or `api.public_url` is not the address that Mandrill posts to")


def _events(post: Post) -> Sequence[Json]:
    stated = orjson.loads(_form(post)[_FIELD])
    if not isinstance(stated, list):
        raise TypeError(f"{_FIELD}: a list is wanted")
    return [{**each, "key": f"{each.get('_id')}:{each.get('event')}:{each.get('ts')}"} if isinstance(each, dict) else each for each in stated]


RELAY = Relay(
    name="mandrill",
    proof=_proof,
    events=_events,
    word="event",
    outcomes={
        "send": Outcome.ACCEPTED,
        "delivered": Outcome.DELIVERED,
        "deferral": Outcome.DEFERRED,
        "hard_bounce": Outcome.BOUNCED,
        "soft_bounce": Outcome.BOUNCED,
        "reject": Outcome.NOT_ATTEMPTED,
        "spam": Outcome.COMPLAINED,
    },
    fields={
        "at": "ts", "recipient": "msg.email", "sender": "msg.sender", "message_id": "msg._id", "ip": "msg.smtp_events.0.source_ip",
        "text": "msg.diag|msg.smtp_events.0.diag",
    },
    names={"campaign": "msg.tags.0", "meta:subaccount": "msg.subaccount", "meta:customer": "msg.metadata.customer"},
    key="key",
)  # fmt: skip
