"""Mattermost: by its API with a bot's token, one post per incident that is edited when it is over and what happens between in
its thread; or by an incoming web hook, which only posts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from collectors.cleaning import for_chat
from monitor.notify.message import Event
from monitor.notify.sender import Outgoing, Sent
from monitor.notify.senders import post
from monitor.notify.senders.slack import links_of

_COLOURS = {"critical": "#d24b4e", "warning": "#ffbc1f", "info": "#1c58d9"}
_OVER = "#3db887"
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-!|~>])")
_ADDRESS = re.compile(r"(https?://\S+)")


class MattermostHook:
    """An incoming web hook."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, message: Outgoing) -> Sent:
        content = {"text": escaped(message.title), "attachments": _attachments(message), "props": {"vigie_key": message.key}}
        answer = post.send(self._url, orjson.dumps(content), {}, now=message.at)
        return Sent(answer.error, answer.retry_after)


class Mattermost:
    """`channel` is the id of a channel."""

    def __init__(self, server: str, token: str, channel: str) -> None:
        self._posts, self._channel = server.rstrip("/") + "/api/v4/posts", channel
        self._headers = {"authorization": f"Bearer {token}"}

    def send(self, message: Outgoing) -> Sent:
        content = {"message": escaped(message.title), "props": {"attachments": _attachments(message), "vigie_key": message.key}}
        first = message.thread
        root = {"root_id": first["post"]} if first else {}
        answer = self._call("POST", "", {"channel_id": self._channel, **content, **root}, message)
        if root and answer.status == 400:  # the thread's post was deleted: a new one
            first, answer = None, self._call("POST", "", {"channel_id": self._channel, **content}, message)
        if answer.error is not None:
            return Sent(answer.error, answer.retry_after, first)
        if first is None:
            return Sent(thread={"post": answer.body.get("id")})
        if message.event == Event.RESOLVED:
            edited = self._call("PUT", f"/{first['post']}/patch", content, message)
            if edited.error is not None and edited.status not in {403, 404}:
                return Sent(edited.error, edited.retry_after, first)
        return Sent(thread=first)

    def _call(self, method: str, path: str, content: Mapping[str, Any], message: Outgoing) -> post.Answer:
        return post.send(self._posts + path, orjson.dumps(content), self._headers, method=method, now=message.at)


def escaped(text: str) -> str:
    """Text in which nothing is a format (`a_b_c` stays what it is); addresses stay whole."""
    parts = _ADDRESS.split(for_chat(text))
    return "".join(part if number % 2 else _MARKUP.sub(r"\\\1", part) for number, part in enumerate(parts))


def _attachments(message: Outgoing) -> list[dict[str, Any]]:
    colour = _OVER if message.event == Event.RESOLVED else _COLOURS.get(message.severity, "#888888")
    links = " | ".join(f"[{text}]({url})" for text, url in links_of(message).items())
    text = escaped(message.body).replace("\n", "  \n") + (f"\n\n{links}" if links else "")
    return [{"color": colour, "fallback": for_chat(message.title), "text": text}]
