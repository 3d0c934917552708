"""What fires again and again: said once, then only when it lasts.

An incident that fires for the `times`th time `within` is notified of as flapping. Of those after it nobody is notified, neither that
they fire nor that they are over, unless one lasts: `within` ÷ `times`. So a list that flaps is one message, and a real
listing after it is late by an hour or two, not lost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from monitor.notify.message import Message, lasted
from monitor.notify.routing import Flapping


@dataclass(frozen=True, slots=True)
class Note:
    """`count`: how often it has fired lately, this time included. `lasts`: for so long it fires now."""

    count: int
    lasts: timedelta
    settings: Flapping

    @property
    def is_said(self) -> bool:
        return 0 < self.settings.times <= self.count

    @property
    def is_quiet(self) -> bool:
        return 0 < self.settings.times < self.count and self.lasts < self.long_enough

    @property
    def long_enough(self) -> timedelta:
        return self.settings.within / self.settings.times

    def on(self, message: Message) -> Message:
        """The message, saying so."""
        within, long_enough = lasted(self.settings.within), lasted(self.long_enough)
        line = f"Flapping: fired {self.count} times in {within}; of the next ones you hear only when they last {long_enough}"
        return replace(message, title=f"[FLAPPING] {message.title}", body=f"{line}\n{message.body}")
