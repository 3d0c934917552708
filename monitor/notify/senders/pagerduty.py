"""PagerDuty Events API v2: each incident is an alert of its own (`dedup_key`), triggered once and resolved once.

A message that is sent again changes nothing there. Severities are theirs: critical, warning, info.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from monitor.notify.message import Event
from monitor.notify.sender import Outgoing, Sent
from monitor.notify.senders import post

ENQUEUE = "https://events.pagerduty.com/v2/enqueue"
_LONGEST_SUMMARY = 1024


class PagerDuty:
    """`routing_key`: of an integration "Events API V2"."""

    def __init__(self, routing_key: str, url: str = ENQUEUE) -> None:
        self._key, self._url = routing_key, url

    def send(self, message: Outgoing) -> Sent:
        items = message.items or [{"incident": message.key, "event": message.event, "title": message.title}]
        for item in items:
            answer = post.send(self._url, orjson.dumps(self._event(message, item)), {}, now=message.at)
            if answer.error is not None:
                return Sent(answer.error, answer.retry_after)
        return Sent()

    def _event(self, message: Outgoing, item: Mapping[str, Any]) -> dict[str, Any]:
        event: dict[str, Any] = {"routing_key": self._key, "dedup_key": item["incident"]}
        if item["event"] == Event.RESOLVED:
            return event | {"event_action": "resolve"}
        links = [{"href": url, "text": text} for text, url in item.get("links", {}).items()]
        more = [{"href": item["url"], "text": "Vigie"}] if item.get("url") else []
        labels = item.get("labels", {})
        return event | {
            "event_action": "trigger", "links": [*more, *links],
            "payload": {
                "summary": str(item.get("title") or message.title)[:_LONGEST_SUMMARY], "source": str(labels.get("customer", "vigie")),
                "severity": str(labels.get("severity", message.severity)), "timestamp": item.get("started_at"),
                "class": labels.get("rule"), "component": labels.get("provider"),
                "custom_details": {"labels": labels, "summary": item.get("summary"), "text": message.body},
            },
        }  # fmt: skip
