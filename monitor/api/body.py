"""Request bodies: bounded in size, in time and in the number of values in them, and decoded in a worker thread."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

import orjson
import zstandard
from anyio import CapacityLimiter, to_thread
from fastapi import Request
from starlette.types import Message, Receive

from collectors.delivery.formats import FORMATS
from monitor.api.problem import Problem

LARGEST = 64 * 1024
LARGEST_UNPACKED = 64 * 1024 * 1024
_BULK = 16 * 1024 * 1024
_LARGEST_WEBHOOK = 4 * 1024 * 1024
LARGEST_AT = {  # calls that take many things at once, or (a mail) one that comes in one piece
    "/v1/mail": 25 * 1024 * 1024,
    "/v1/events/generic": _BULK,
    **{f"/v1/events/{shape}": _BULK for shape in FORMATS},
    "/v1/inventory/apply": _BULK,
    "/v1/suppressions": _BULK,
    "/v1/suppressions/check": 4 * 1024 * 1024,
    "/v1/suppressions/import": _BULK,
}
IDLE_SECONDS, WHOLE_SECONDS = 30.0, 300.0  # between two pieces of a body, and for all of it
_DECODERS = 2  # bodies decoded at once: the interpreter does one at a time anyway
_SMALL = 64 * 1024  # decoded where it is: quicker than a thread
_MOST_MEMBERS = 1_000
_STEP = 65_536
_ZSTD_STEP = 512  # packed bytes at once: each may unpack to a thousand times as many and more
_LARGEST_WINDOW = 8 * 1024 * 1024  # what every decoder has to support (RFC 8878, 3.1.1.1.2)
_MOST_VALUES = 4_000_000  # each takes up to 64 bytes once it is read
_PACKED = {  # how such a body begins: gzip (RFC 1952), Zstandard (RFC 8878), zip
    b"\x1f\x8b": "gzip: add Content-Encoding: gzip",
    b"\x28\xb5\x2f\xfd": "zstd: add Content-Encoding: zstd",
    b"PK\x03\x04": "a zip archive: send what is in it",
}
_BETWEEN_VALUES = (b",", b"\n", b"[", b"{")


def largest_at(path: str) -> int:
    usual = _LARGEST_WEBHOOK if path.startswith("/v1/events/") else LARGEST
    return LARGEST_AT.get(path, usual)


def bounded(receive: Receive, most: int) -> Receive:
    """The ASGI `receive`, refusing a body that grows too large (413) or comes too slowly (408)."""
    left, ends_at, whole = most, 0.0, False

    async def counted() -> Message:
        nonlocal left, ends_at, whole
        if whole:  # what comes now is that the caller has gone, whenever that is
            return await receive()
        loop = asyncio.get_running_loop()
        ends_at = ends_at or loop.time() + WHOLE_SECONDS
        try:
            async with asyncio.timeout_at(min(ends_at, loop.time() + IDLE_SECONDS)):
                message = await receive()
        except TimeoutError:
            raise too_slow() from None
        whole = not message.get("more_body")
        left -= len(message.get("body", b""))
        if left < 0:
            raise too_large(most)
        return message

    return counted


def too_slow() -> Problem:
    return Problem(408, "the body did not come in time", headers={"Connection": "close"})


async def received(request: Request) -> bytes:
    """A FastAPI dependency: the body as it came."""
    return await request.body()


def read_json(body: bytes) -> Any:
    """What the JSON says. Raises orjson.JSONDecodeError (a json.JSONDecodeError), or Problem (413) for too many values,
    (415) for what is packed.
    """
    _not_packed(body)
    return orjson.loads(_of_bounded_values(body))


async def read_json_aside(body: bytes) -> Any:
    """The same, where the event loop does not wait for it."""
    if len(body) <= _SMALL:
        return read_json(body)
    return await to_thread.run_sync(read_json, body, limiter=_limiter())


def unpacked(body: bytes, encoding: str) -> bytes:
    """The body without its Content-Encoding: gzip, zstd or none. Unpacked in steps, so that a small body costs little."""
    if encoding in {"", "identity"}:
        return body
    if encoding == "zstd":
        return _unpacked_zstd(body)
    if encoding not in {"gzip", "x-gzip"}:
        raise Problem(415, f"Content-Encoding {encoding} is not understood; send gzip, zstd or none")
    plain = bytearray()
    at = members = 0
    while at < len(body):  # a gzip file may be several, one after the other (RFC 1952, 2.2)
        members += 1
        if members > _MOST_MEMBERS:
            raise Problem(413, f"the gzip body has more than {_MOST_MEMBERS} members; compress it in one piece")
        at = _member(body, at, plain)
    return bytes(plain)


def _unpacked_zstd(body: bytes) -> bytes:
    plain, at, frames = bytearray(), 0, 0
    try:
        while at < len(body):  # frames may stand one after the other (RFC 8878, 3)
            frames += 1
            if frames > _MOST_MEMBERS:
                raise Problem(413, f"the zstd body has more than {_MOST_MEMBERS} frames; compress it in one piece")
            stream = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj()
            while at < len(body) and not stream.eof:
                packed = body[at : at + _ZSTD_STEP]
                at += len(packed)
                plain += stream.decompress(packed)
                if len(plain) > LARGEST_UNPACKED:
                    raise too_large(LARGEST_UNPACKED)
            if not stream.eof:
                raise Problem(400, "the zstd body is cut short")
            at -= len(stream.unused_data)
    except zstandard.ZstdError:
        raise Problem(400, "the body is not zstd") from None
    return bytes(plain)


def _not_packed(body: bytes) -> None:
    """Raises Problem (415) for a body that is packed and does not say so."""
    for magic, packed in _PACKED.items():
        if body.startswith(magic):
            raise Problem(415, f"this looks like {packed}")


def unpacked_rows(body: bytes, encoding: str) -> bytes:
    """As `unpacked`, for JSON, NDJSON and CSV, whose cost is that of their values and not of their bytes."""
    plain = unpacked(body, encoding)
    _not_packed(plain)
    return _of_bounded_values(plain)


def _of_bounded_values(plain: bytes) -> bytes:
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
                raise too_large(LARGEST_UNPACKED)
            packed = stream.unconsumed_tail
    if not stream.eof:
        raise Problem(400, "the gzip body is cut short")
    return at - len(stream.unused_data)


_limiters: dict[int, CapacityLimiter] = {}


def _limiter() -> CapacityLimiter:
    """One for each event loop: a limiter belongs to the loop it was made in."""
    return _limiters.setdefault(id(asyncio.get_running_loop()), CapacityLimiter(_DECODERS))


def too_large(most: int) -> Problem:
    return Problem(413, f"the body is larger than {most} bytes ({_sized(most)}); send it in parts, or gzip it")


def _sized(most: int) -> str:
    return f"{most / 1024**2:g} MiB" if most >= 1024**2 else f"{most / 1024:g} KiB"
