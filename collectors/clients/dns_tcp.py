"""One DNS question over TCP (RFC 7766), for answers that UDP truncates. Never blocks.

A `Fetch` is a connection of its own with one deadline for all of it: connecting, asking and however many pieces
the answer comes in. The loop calls `step` when the socket may have something to say.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import struct

from collectors.clients.dns_wire import QUERY_HEADER, Answer, is_ours, parse_full

_CONNECTING = frozenset((0, errno.EINPROGRESS, errno.EWOULDBLOCK))


class Fetch:
    """`step` gives the answer, None while it is on its way, OSError where there will be none."""

    def __init__(self, host: str, port: int, question: bytes, deadline: float) -> None:
        self._question = question
        self._ident = os.urandom(2)
        message = self._ident + QUERY_HEADER + question
        self._unsent = struct.pack("!H", len(message)) + message
        self._received = bytearray()
        self._deadline = deadline
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        code = self.socket.connect_ex((host, port))
        if code not in _CONNECTING:
            self.socket.close()
            raise OSError(code, os.strerror(code))

    @property
    def waits_for(self) -> int:
        return selectors.EVENT_WRITE if self._unsent else selectors.EVENT_READ

    def step(self, now: float) -> Answer | None:
        try:
            if self._unsent:
                self._unsent = self._unsent[self.socket.send(self._unsent) :]
            return self._receive()
        except BlockingIOError:
            if now >= self._deadline:
                raise TimeoutError from None
            return None

    def close(self) -> None:
        self.socket.close()

    def _receive(self) -> Answer:
        """The answer, once it is whole; BlockingIOError until then."""
        while len(self._received) < 2 or len(self._received) < 2 + int.from_bytes(self._received[:2], "big"):
            part = self.socket.recv(65536)
            if not part:
                raise ConnectionError("closed in mid-answer")
            self._received += part
        length = int.from_bytes(self._received[:2], "big")
        wire = bytes(self._received[2 : 2 + length])
        if wire[:2] != self._ident or not is_ours(wire, self._question):
            raise ConnectionError("an answer to something else")
        answer = parse_full(wire, self._question)
        return answer._replace(truncated=False, malformed="truncated over TCP") if answer.truncated else answer
