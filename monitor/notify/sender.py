"""What every way of sending has in common: the message it is given, and what it says became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message. `key` is the same at every attempt; `items` are the details of each incident it is about (message.details).

    `thread`: what the sender gave back for an earlier message about the same incident.
    """

    key: str
    event: str
    severity: str
    title: str
    body: str
    at: datetime  # of this attempt
    items: Sequence[Mapping[str, Any]] = ()
    thread: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """`error`: why it was not delivered, without any address (None: it was). `retry_after`: what the other side asks for.

    `thread`: where the message is, for those that follow it.
    """

    error: str | None = None
    retry_after: timedelta | None = None
    thread: Mapping[str, Any] | None = None


class Sends(Protocol):
    """A receiver's address. `send` raises nothing for what the other side does."""

    def send(self, message: Outgoing) -> Sent: ...
