"""Slack: one message per incident that is edited in place when it is over, what happens between in its thread.

With a token (scopes `chat:write`) by the web API (`chat.postMessage`, `chat.update`); an incoming web hook only posts: no
threads, no edits. Slack answers 200 with `ok: false` for what it refuses, and 429 with Retry-After.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from collectors.cleaning import for_chat
from collectors.contract import Reason
from monitor.notify.message import Event
from monitor.notify.sender import Outgoing, Sent
from monitor.notify.senders import post

API = "https://slack.com/api"
_COLOURS = {Event.RESOLVED: "#2eb67d"}
_SEVERITIES = {"critical": "#e01e5a", "warning": "#ecb22e", "info": "#36c5f0"}
_LONGEST = 2_900  # of a section's text: 3,000
_GONE = frozenset({"message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed"})


class SlackHook:
    """An incoming web hook."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, message: Outgoing) -> Sent:
        answer = post.send(self._url, orjson.dumps(shown(message)), {}, now=message.at)
        return Sent(answer.error, answer.retry_after)


class Slack:
    """The web API."""

    def __init__(self, token: str, channel: str, api: str = API) -> None:
        self._headers, self._channel, self._api = {"authorization": f"Bearer {token}"}, channel, api.rstrip("/")

    def send(self, message: Outgoing) -> Sent:
        first = message.thread
        if first is None:
            sent, answer = self._call("chat.postMessage", message, {"channel": self._channel})
            body = answer.body
            return Sent(thread={"ts": body.get("ts"), "channel": body.get("channel", self._channel)}) if sent.error is None else sent
        sent, _ = self._call("chat.postMessage", message, {"channel": first["channel"], "thread_ts": first["ts"]})
        if sent.error is not None or message.event != Event.RESOLVED:
            return Sent(sent.error, sent.retry_after, first)
        edited, answer = self._call("chat.update", message, {"channel": first["channel"], "ts": first["ts"]})
        gone = answer.body.get("error") in _GONE  # somebody deleted it: the thread says it is over
        return Sent(None if gone else edited.error, edited.retry_after, first)

    def _call(self, method: str, message: Outgoing, where: Mapping[str, Any]) -> tuple[Sent, post.Answer]:
        metadata = {"event_type": "vigie_notification", "event_payload": {"key": message.key}}
        content = orjson.dumps({**shown(message), **where, "metadata": metadata, "unfurl_links": False, "unfurl_media": False})
        answer = post.send(f"{self._api}/{method}", content, self._headers, now=message.at)
        error = answer.error
        if error is None and answer.body.get("ok") is not True:
            said_why = str(answer.body.get("error", "no answer of Slack's"))[:80]
            reason = Reason.AUTH if "auth" in said_why or "token" in said_why else Reason.REFUSED
            error = f"{reason}: {for_chat(said_why)}"
        return Sent(error, answer.retry_after), answer


def shown(message: Outgoing) -> dict[str, Any]:
    """Title, text and buttons. `text` is what a notification on a telephone shows."""
    colour = _COLOURS.get(Event(message.event), _SEVERITIES.get(message.severity, "#888888"))
    blocks: list[dict[str, Any]] = [{"type": "section", "text": {"type": "mrkdwn", "text": escaped(message.body)[:_LONGEST]}}]
    if buttons := [_button(text, url) for text, url in links_of(message).items()]:
        blocks.append({"type": "actions", "elements": buttons})
    return {"text": escaped(message.title), "attachments": [{"color": colour, "blocks": blocks}]}


def escaped(text: str) -> str:
    """As Slack wants it (&, < and > written out): nothing of it becomes a link, a mention or a format of ours."""
    return for_chat(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def links_of(message: Outgoing) -> dict[str, str]:
    """The pages a person can act on, where the message is about one incident: text → address."""
    if len({item["incident"] for item in message.items}) != 1 or message.event == Event.RESOLVED:
        return {}
    links: Mapping[str, str] = message.items[-1].get("links", {})
    return dict(links)


def _button(text: str, url: str) -> dict[str, Any]:
    return {"type": "button", "text": {"type": "plain_text", "text": text}, "url": url}
