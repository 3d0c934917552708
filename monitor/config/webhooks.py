"""The settings of `webhooks`: relays that post what became of mail, each at an address of its own."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, model_validator

from collectors.delivery.webhooks import RELAYS
from monitor.config.settings import _Part


def _relay(name: str) -> str:
    if name not in RELAYS:
        raise ValueError(f"no such relay — one of {', '.join(RELAYS)}")
    return name


class Webhook(_Part):
    """Answers at /v1/events/RELAY/SOURCE. `secret`: an entry of `secrets`, what the relay's proof is checked with. `customer`: whose mail it is.

    `topics` (SES): the SNS topics that may post here.
    """

    relay: Annotated[str, AfterValidator(_relay)]
    secret: str | None = None
    customer: str | None = None
    topics: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _has_a_proof(self) -> Webhook:
        if self.secret is None and self.relay != "ses":
            raise ValueError("needs `secret` — name an entry of `secrets:` that holds the key of this relay's proof")
        if self.topics and self.relay != "ses":
            raise ValueError("`topics` are those of SES only — leave it out")
        return self
