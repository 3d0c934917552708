"""Relays' webhooks as data: one small file a relay (word → outcome, path → field, proof, key of an event), one shared reading."""

from __future__ import annotations

from collections.abc import Mapping

from collectors.delivery.webhooks import (
    brevo,
    mailgun,
    mailjet,
    mandrill,
    postal,
    postmark,
    resend,
    sendgrid,
    ses,
    sparkpost,
)
from collectors.delivery.webhooks.relay import Relay

RELAYS: Mapping[str, Relay] = {
    each.name: each
    for each in (
        brevo.RELAY, mailgun.RELAY, mailjet.RELAY, mandrill.RELAY, postal.RELAY, postmark.RELAY, resend.RELAY, sendgrid.RELAY, ses.RELAY,
        sparkpost.RELAY,
    )
}  # fmt: skip
