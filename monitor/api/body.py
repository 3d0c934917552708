"""Request bodies of a bounded size, unpacked to a bounded size."""

from __future__ import annotations

import zlib

from fastapi import Request
from starlette.types import Message, Receive

from monitor.api.problem import Problem

LARGEST = 16 * 1024 * 1024
LARGEST_UNPACKED = 64 * 1024 * 1024
LARGEST_AT = {"/v1/mail": 25 * 1024 * 1024}  # a mail comes in one piece
_MOST_MEMBERS = 1_000
_STEP = 65_536
_MOST_VALUES = 4_000_000  # each takes up to 64 bytes once it is read
_BETWEEN_VALUES = (b",", b"\n", b"[", b"{")


def bounded(receive: Receive, path: str) -> Receive:
    """The ASGI `receive`, refusing (413) a body that grows too large; stands before every call."""
    left = most = LARGEST_AT.get(path, LARGEST)

    async def counted() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise _too_large(most)
        return message

    return counted


async def received(request: Request) -> bytes:
    """A FastAPI dependency: the body as it came."""
    return await request.body()


def unpacked(body: bytes, encoding: str) -> bytes:
    """The body without its Content-Encoding: gzip or none. Unpacked in steps, so that a small body costs little."""
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "x-gzip"}:
        raise Problem(415, f"Content-Encoding {encoding} is not understood; send gzip or none")
    plain = bytearray()
    at = members = 0
    while at < len(body):  # a gzip file may be several, one after the other (RFC 1952, 2.2)
        members += 1
        if members > _MOST_MEMBERS:
            raise Problem(413, f"the gzip body has more than {_MOST_MEMBERS} members; compress it in one piece")
        at = _member(body, at, plain)
    return bytes(plain)


def unpacked_rows(body: bytes, encoding: str) -> bytes:
    """As `unpacked`, for JSON, NDJSON and CSV, whose cost is that of their values and not of their bytes."""
    plain = unpacked(body, encoding)
    if sum(map(plain.count, _BETWEEN_VALUES)) > _MOST_VALUES:
        raise Problem(413, f"the body holds more than {_MOST_VALUES:,} values; send it in parts")
    return plain


def _member(body: bytes, at: int, plain: bytearray) -> int:
    """Unpack the gzip member that begins at `at` into `plain`; where it ends."""
    stream = zlib.decompressobj(wbits=31)
    while at < len(body) and not stream.eof:
        packed = body[at : at + _STEP]
        at += len(packed)
        while packed and not stream.eof:
            try:
                plain += stream.decompress(packed, _STEP)
            except zlib.error:
                raise Problem(400, "the body is not gzip") from None
            if len(plain) > LARGEST_UNPACKED:
                raise _too_large(LARGEST_UNPACKED)
            packed = stream.unconsumed_tail
    if not stream.eof:
        raise Problem(400, "the gzip body is cut short")
    return at - len(stream.unused_data)


def _too_large(most: int) -> Problem:
    return Problem(413, f"the body is larger than {most} bytes; send it in parts")
