"""One receiver, spoken to through Apprise. The only place that knows it.

Apprise is fire-and-forget with a result: its `.status` is asked, never its truth; its own retries stay off
(they would repeat what the outbox repeats); its URLs carry tokens and are never logged.
"""

from __future__ import annotations

import threading
from urllib.parse import quote

from apprise import Apprise, NotifyFormat, NotifyType
from apprise.result import AppriseResultStatus

from collectors.cleaning import for_chat
from monitor.notify.message import Event
from monitor.notify.sender import Outgoing, Sent

# schemes of a plain web hook: the payload is ours, so the outbox key goes with it for whoever deduplicates
_WEB_HOOKS = ("json://", "jsons://", "form://", "forms://")
_TYPES: dict[str, NotifyType] = {
    Event.FIRING: NotifyType.FAILURE, Event.WORSENED: NotifyType.WARNING, Event.RESOLVED: NotifyType.SUCCESS,
}


class Chat:
    """A receiver's address. Raises ValueError where Apprise does not understand it (without showing it)."""

    def __init__(self, name: str, url: str) -> None:
        self._name = name
        self._url = _apprise_url(url)
        self._turn = threading.Lock()  # one message at a time: a slow chat must not eat the shared threads
        if not Apprise().add(self._url):
            scheme = url.partition("://")[0]
            raise ValueError(f"receiver {name}: Apprise does not understand this {scheme}:// address")

    def send(self, message: Outgoing) -> Sent:
        """Send one message."""
        with self._turn:
            apprise = Apprise()
            apprise.add(self._with_key(message))
            result = apprise.notify(
                body=for_chat(with_links(message)), title=for_chat(message.title), body_format=NotifyFormat.TEXT,
                notify_type=_TYPES.get(message.event, NotifyType.WARNING),
            )
        if result.status == AppriseResultStatus.SUCCESS:
            return Sent()
        return Sent(f"{AppriseResultStatus(result.status).name.lower()} from {self._name}")

    def _with_key(self, message: Outgoing) -> str:
        if not self._url.startswith(_WEB_HOOKS):
            return self._url
        joint = "&" if "?" in self._url else "?"
        incidents = ",".join(f"{item['incident']}:{item['event']}" for item in message.items)
        fields = {"key": message.key, "event": message.event, "severity": message.severity, "incidents": incidents}
        return self._url + joint + "&".join(f":{name}={quote(value, safe='')}" for name, value in fields.items())


def with_links(message: Outgoing) -> str:
    """The text, and below it the links of a message about one incident."""
    if len(message.items) != 1:
        return message.body
    lines = [f"{words}: {address}" for words, address in message.items[0].get("links", {}).items()]
    return "\n".join([message.body, *lines])


def _apprise_url(url: str) -> str:
    """A plain web address is a JSON web hook."""
    if url.startswith("http://"):
        return "json://" + url.removeprefix("http://")
    if url.startswith("https://"):
        return "jsons://" + url.removeprefix("https://")
    return url
