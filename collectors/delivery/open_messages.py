"""Mails that are on their way: what one line of a log says of a mail, kept for the lines that come after.

Bounded: the mail that was heard of longest ago is forgotten first, and its later lines stand for themselves.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

MOST_OPEN = 200_000
MOST_WAITING = 10_000  # recipients of one mail

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class OpenMessage:
    """`waiting`: recipients deferred last time, and how the host answered."""

    sender: str | None = None
    message_id: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, tuple[str | None, str | None, str | None]] = field(default_factory=dict)  # status, text, mx

    def deferred(self, recipient: str, status: str | None, text: str | None, mx: str | None) -> None:
        if len(self.waiting) < MOST_WAITING:
            self.waiting[recipient] = status, text, mx

    def done(self, recipient: str) -> None:
        self.waiting.pop(recipient, None)


class OpenMessages(Generic[Key]):
    """By whatever a log calls a mail."""

    def __init__(self, most: int = MOST_OPEN) -> None:
        self._open: OrderedDict[Key, OpenMessage] = OrderedDict()
        self._most = most

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, key: Key) -> bool:
        return key in self._open

    def begin(self, key: Key) -> OpenMessage:
        """A new mail, also where an older one had this key."""
        self._open.pop(key, None)
        return self.known(key)

    def known(self, key: Key) -> OpenMessage:
        """The mail of this key, from now on if it was not known."""
        message = self._open.get(key)
        if message is None:
            message = self._open[key] = OpenMessage()
            if len(self._open) > self._most:
                self._open.popitem(last=False)
        else:
            self._open.move_to_end(key)
        return message

    def end(self, key: Key) -> OpenMessage:
        """What was known; forgotten from now on."""
        return self._open.pop(key, None) or OpenMessage()
