"""What reaches a terminal: the last cleaning of texts that strangers wrote, whatever command shows them."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from collectors.cleaning import for_terminal


class CleanStream:
    """A text stream that lets no control or bidirectional character through; bytes (JSON) go past it as they are."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(for_terminal(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard_streams() -> None:
    """From now on everything this process prints is cleaned."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, CleanStream):
            setattr(sys, name, CleanStream(stream))
