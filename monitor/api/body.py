"""Request bodies of a bounded size, unpacked to a bounded size."""

from __future__ import annotations

import zlib

from fastapi import Request
from starlette.types import Message, Receive

from monitor.api.problem import Problem

LARGEST = 16 * 1024 * 1024
LARGEST_UNPACKED = 64 * 1024 * 1024
LARGEST_AT = {"/v1/mail": 25 * 1024 * 1024}  # a mail comes in one piece


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
    """The body without its Content-Encoding: gzip or none."""
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "x-gzip"}:
        raise Problem(415, f"Content-Encoding {encoding} is not understood; send gzip or none")
    parts, whole = bytearray(), body
    while whole:  # a gzip file may be several, one after the other (RFC 1952, 2.2)
        one = zlib.decompressobj(wbits=31)
        try:
            parts += one.decompress(whole, LARGEST_UNPACKED + 1 - len(parts))
        except zlib.error:
            raise Problem(400, "the body is not gzip") from None
        if len(parts) > LARGEST_UNPACKED:
            raise _too_large(LARGEST_UNPACKED)
        if not one.eof:
            raise Problem(400, "the gzip body is cut short")
        whole = one.unused_data
    return bytes(parts)


def _too_large(most: int) -> Problem:
    return Problem(413, f"the body is larger than {most} bytes; send it in parts")
