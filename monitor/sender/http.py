"""As much of HTTP/1.1 (RFC 9112) as a sender needs, on asyncio and with nothing but the standard library.

One connection for each call, bounded answers, one limit of time for all of a call but a stream, whose pieces each have
their own. Redirects are not followed and proxies of the environment not used: a key goes to the address that was given.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_MOST_HEADERS = 32 * 1024
MOST_BODY = 256 * 1024 * 1024  # a filter of fifty million recipients
_PIECE = 256 * 1024


class AnswerError(OSError):
    """What came is no HTTP, or more than is taken."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Raises AnswerError."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise AnswerError("the answer is no JSON") from error


class Address:
    """Where Vigie is. Raises ValueError for what is no web address."""

    def __init__(self, url: str, key: str, timeout_seconds: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
            raise ValueError(f"{url!r} is no web address: write https://vigie.example.com")
        self.timeout = timeout_seconds
        self._host, self._port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        self._named = parts.netloc
        self._prefix = parts.path.rstrip("/")
        self._secure = parts.scheme == "https"
        self._key = key
        self._ssl: ssl.SSLContext | None = None

    async def call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One call and its whole answer. Raises OSError (TimeoutError is one)."""
        content = None if body is None else json.dumps(body).encode()
        stated = dict(headers or {}) | ({"Content-Type": "application/json"} if content is not None else {})
        async with asyncio.timeout(self.timeout), self._exchange(method, path, stated, content) as (status, named, pieces):
            taken = bytearray()
            async for piece in pieces:
                taken += piece
                if len(taken) > MOST_BODY:
                    raise AnswerError("the answer is too long")
            return Answer(status, named, bytes(taken))

    @contextlib.asynccontextmanager
    async def stream(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[tuple[int, Mapping[str, str], AsyncIterator[bytes]]]:
        """A call whose answer goes on: status, headers, and the pieces as they come. Raises OSError."""
        exchange = self._exchange("GET", path, headers, None)
        async with asyncio.timeout(self.timeout):
            answer = await exchange.__aenter__()
        try:
            yield answer
        finally:
            await exchange.__aexit__(None, None, None)

    @contextlib.asynccontextmanager
    async def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[tuple[int, Mapping[str, str], AsyncIterator[bytes]]]:
        if self._secure and self._ssl is None:
            self._ssl = ssl.create_default_context()
        try:
            reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._ssl, limit=_MOST_HEADERS)
        except UnicodeError as error:  # a host name that cannot be written
            raise AnswerError(f"{self._host}: {error}") from error
        try:
            lines = [f"{method} {self._prefix}{path} HTTP/1.1", f"Host: {self._named}", f"Authorization: Bearer {self._key}",
                     "Connection: close", *(f"{name}: {value}" for name, value in headers.items())]
            if body is not None:
                lines.append(f"Content-Length: {len(body)}")
            writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))
            await writer.drain()
            status, named = await _head(reader)
            yield status, named, _pieces(reader, status, named)
        finally:
            writer.transport.abort()  # nothing of it is wanted any more, and nobody is waited for


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    while True:
        try:
            text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *rest = text[:-4].split("\r\n")
            version, status, *_ = first.split(" ", 2)
            code = int(status) if version.startswith("HTTP/1.") else 0
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            raise AnswerError("the answer is no HTTP") from error
        if not 100 <= code <= 599:
            raise AnswerError("the answer is no HTTP")
        if code >= 200:  # those below are news of the one to come
            break
    pairs = (line.partition(":") for line in rest)
    return code, {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _pieces(reader: asyncio.StreamReader, status: int, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
    if status in {204, 304}:
        return
    if "chunked" in headers.get("transfer-encoding", "").lower():
        async for piece in _chunks(reader):
            yield piece
        return
    left = _length(headers.get("content-length"))
    while left is None or left > 0:
        piece = await reader.read(_PIECE if left is None else min(left, _PIECE))
        if not piece:
            if left:
                raise AnswerError("the answer is cut short")
            return
        left = None if left is None else left - len(piece)
        yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    try:
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            while size > 0:
                piece = await reader.read(min(size, _PIECE))
                if not piece:
                    raise AnswerError("the answer is cut short")
                size -= len(piece)
                yield piece
            await reader.readexactly(2)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        raise AnswerError("the answer is cut short") from error


def _length(stated: str | None) -> int | None:
    if stated is None:
        return None
    if not stated.isdecimal():
        raise AnswerError("the answer is no HTTP")
    return int(stated)
