"""Mailgun's webhooks: one event a post, beside a signature (HMAC-SHA256 over time and token) in the body.

Source: Mailgun documentation, Webhooks and Events. `failed` is a deferral where its severity is temporary. Codes 605 and 607, and reasons
`suppress-…`, are Mailgun's own lists: never sent. 602: given up after too long. An event's id is unique only for a day, so the
token, which is used once, is the key.

May be wrong: the form posts of before 2018 are not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from collectors.delivery.outcomes import Outcome
from collectors.delivery.webhooks.proof import NotProvenError, Post, hmac_sha256, recent
from collectors.delivery.webhooks.relay import Json, Relay, text_at
from collectors.replies.judgement_table import Category

_CODE = "event-data.delivery-status.code"
_OWN_LISTS, _TOO_OLD = frozenset({"605", "606", "607"}), "602"


def _proof(post: Post) -> None:
    try:
        stated = orjson.loads(post.body)["signature"]
        at, token, signature = (str(stated[name]) for name in ("timestamp", "token", "signature"))
    except (ValueError, KeyError, TypeError):
        raise NotProvenError("no signature in the body") from None
    hmac_sha256(post.secret, f"{at}{token}".encode(), signature)
    recent(at, post.now)


def _events(post: Post) -> Sequence[Json]:
    stated: Any = orjson.loads(post.body)
    if not isinstance(stated["event-data"], dict):
        raise TypeError("event-data: an object is wanted")
    return [stated]


def _refined(event: Json, outcome: Outcome) -> Outcome:
    if outcome is not Outcome.BOUNCED:
        return outcome
    code, reason = text_at(event, _CODE), text_at(event, "event-data.reason") or ""
    if code in _OWN_LISTS or reason.startswith("suppress-"):
        return Outcome.NOT_ATTEMPTED
    if text_at(event, "event-data.severity") == "temporary":
        return Outcome.DEFERRED
    return Outcome.EXPIRED if code == _TOO_OLD else Outcome.BOUNCED


def _hint(event: Json) -> str | None:
    return Category.EXPIRED if text_at(event, _CODE) == _TOO_OLD else None


RELAY = Relay(
    name="mailgun",
    proof=_proof,
    events=_events,
    word="event-data.event",
    outcomes={
        "accepted": Outcome.ACCEPTED,
        "delivered": Outcome.DELIVERED,
        "failed": Outcome.BOUNCED,
        "rejected": Outcome.NOT_ATTEMPTED,
        "complained": Outcome.COMPLAINED,
    },
    fields={
        "at": "event-data.timestamp", "recipient": "event-data.recipient", "sender": "event-data.envelope.sender",
        "ip": "event-data.envelope.sending-ip", "mx": "event-data.delivery-status.mx-host", "message_id": "event-data.message.headers.message-id",
        "status": "event-data.delivery-status.enhanced-code", "code": _CODE,
        "text": "event-data.delivery-status.message|event-data.delivery-status.description|event-data.reject.reason",
    },
    names={"campaign": "event-data.campaigns.0.id|event-data.tags.0", "meta:customer": "event-data.user-variables.customer"},
    key="signature.token",
    refined=_refined,
    hint=_hint,
)  # fmt: skip
