"""Relays' webhooks as data: one small file a relay (word → outcome, path → field, proof, key of an event), one shared reading."""

from __future__ import annotations

from collections.abc import Mapping

from collectors.delivery.webhooks import mailgun, postmark, sendgrid, ses
from collectors.delivery.webhooks.relay import Relay

RELAYS: Mapping[str, Relay] = {each.name: each for each in (mailgun.RELAY, postmark.RELAY, sendgrid.RELAY, ses.RELAY)}
