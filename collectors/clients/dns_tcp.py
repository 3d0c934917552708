"""One DNS question over TCP (RFC 7766), for answers that UDP truncates. Blocks, for a bounded time."""

from __future__ import annotations

import os
import socket
import struct
import time

from collectors.clients.dns_wire import QUERY_HEADER, Answer, is_ours, parse_full


def ask_tcp(host: str, port: int, question: bytes, timeout_seconds: float) -> Answer:
    """Ask one question over TCP; OSError where no whole answer of ours came in time."""
    deadline = time.monotonic() + timeout_seconds
    ident = os.urandom(2)
    message = ident + QUERY_HEADER + question
    with socket.create_connection((host, port), timeout_seconds) as connection:
        connection.sendall(struct.pack("!H", len(message)) + message)
        (length,) = struct.unpack("!H", _receive(connection, 2, deadline))
        wire = _receive(connection, length, deadline)
    if wire[:2] != ident or not is_ours(wire, question):
        raise ConnectionError("an answer to something else")
    answer = parse_full(wire, question)
    return answer._replace(truncated=False, malformed="truncated over TCP") if answer.truncated else answer


def _receive(connection: socket.socket, length: int, deadline: float) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        part = connection.recv(length - len(parts))
        if not part:
            raise ConnectionError("closed in mid-answer")
        parts += part
        if time.monotonic() > deadline:
            raise TimeoutError
    return bytes(parts)
