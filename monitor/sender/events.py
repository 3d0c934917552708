"""Server-sent events out of the bytes they come in (WHATWG HTML, 9.2.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

MOST_BYTES = 256 * 1024 * 1024  # of one event


class Event(NamedTuple):
    name: str
    data: str
    id: str | None


class TooLongError(ValueError):
    """One event is longer than is taken."""


class EventReader:
    """Feed it bytes; it gives back the events that are complete."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._name, self._id, self._data, self._size = "", None, [], 0  # type: tuple[str, str | None, list[str], int]

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Raises TooLongError."""
        self._rest += piece
        if len(self._rest) + self._size > MOST_BYTES:
            raise TooLongError(f"an event of more than {MOST_BYTES} bytes")
        if b"\n" not in piece and b"\r" not in piece:
            return
        text = bytes(self._rest).replace(b"\r\n", b"\n")
        kept_return = text.endswith(b"\r")  # its line feed may be about to come
        lines = (text[:-1] if kept_return else text).replace(b"\r", b"\n").split(b"\n")
        self._rest = bytearray(lines.pop() + (b"\r" if kept_return else b""))
        for line in lines:
            event = self._take(line.decode("utf-8", "replace"))
            if event is not None:
                yield event

    def _take(self, line: str) -> Event | None:
        if not line:
            name, data, self._name = self._name or "message", self._data, ""
            of, self._id, self._data, self._size = self._id, None, [], 0
            return Event(name, "\n".join(data), of) if data else None
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value
        elif field == "data":
            self._data.append(value)
            self._size += len(value)
        elif field == "id" and "\0" not in value:
            self._id = value
        return None
