"""The settings of receivers: who they are, how each is spoken to, which incidents it hears of at most."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, model_validator

from monitor.config.settings import Names, _Part
from monitor.config.severity import Severity

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_WEB_URL = re.compile(r"https?://[^\s/]+\S*")


def _some_url(url: SecretStr) -> SecretStr:
    if not _URL.fullmatch(url.get_secret_value()):
        raise ValueError("is no URL — write an Apprise URL (slack://…, mailto://…) or https://…")
    return url


def _web_url(url: str) -> str:
    if not _WEB_URL.fullmatch(url):
        raise ValueError("is no web address — write https://…")
    return url


def _secret_web_url(url: SecretStr) -> SecretStr:
    _web_url(url.get_secret_value())
    return url


WebUrl = Annotated[str, AfterValidator(_web_url)]
SecretWebUrl = Annotated[SecretStr, AfterValidator(_secret_web_url)]
Token = Annotated[SecretStr, Field(min_length=1)]


class Slack(_Part):
    """A bot's `token` (scope chat:write) and a `channel`: messages are edited and have threads; or an incoming `webhook`."""

    webhook: SecretWebUrl | None = None
    token: Token | None = None
    channel: str | None = None
    api: WebUrl = "https://slack.com/api"

    @model_validator(mode="after")
    def _one_way(self) -> Slack:
        _one_of(self.webhook, self.token, self.channel)
        return self


class Mattermost(_Part):
    """A `server` with a bot's `token` and the id of a `channel`: messages are edited and have threads; or an incoming `webhook`."""

    webhook: SecretWebUrl | None = None
    server: WebUrl | None = None
    token: Token | None = None
    channel: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Mattermost:
        _one_of(self.webhook, self.token, self.channel)
        if self.token is not None and self.server is None:
            raise ValueError("server is missing — write the address of the Mattermost server")
        return self


class PagerDuty(_Part):
    """The `routing_key` of an integration of the kind Events API V2."""

    routing_key: Token
    url: WebUrl = "https://events.pagerduty.com/v2/enqueue"


class Webhook(_Part):
    """A web hook signed as Standard Webhooks 1.0 has it."""

    url: SecretWebUrl
    secret: Annotated[SecretStr, Field(min_length=16)]


class Receiver(_Part):
    """Who is notified, in one way, of which incidents: empty `rules` and `customers` mean all.

    `contact`: it is a customer's own, and hears of what is about its `customers` alone; otherwise it hears also of what is about no
    customer in particular. `links`: its messages bring links to acknowledge and silence (a contact's do not).
    """

    name: str = Field(min_length=1)
    url: Annotated[SecretStr, AfterValidator(_some_url)] | None = None
    slack: Slack | None = None
    mattermost: Mattermost | None = None
    pagerduty: PagerDuty | None = None
    webhook: Webhook | None = None
    severities: frozenset[Severity] = frozenset(Severity)
    rules: Names = ()
    customers: Names = ()
    contact: bool = False
    links: bool = True

    @model_validator(mode="after")
    def _one_way(self) -> Receiver:
        ways = [each for each in (self.url, self.slack, self.mattermost, self.pagerduty, self.webhook) if each is not None]
        if len(ways) != 1:
            raise ValueError("has one way to be reached — write one of url, slack, mattermost, pagerduty and webhook")
        if self.contact and not self.customers:
            raise ValueError("contact: whose — write its customers too")
        return self


def _one_of(webhook: SecretStr | None, token: SecretStr | None, channel: str | None) -> None:
    if (webhook is None) == (token is None) or (token is None) != (channel is None):
        raise ValueError("has one way — write webhook, or token and channel")
