"""The port a stock kumod is pointed at: what its TSA daemon answers, in the same words (an ASGI application).

Source: KumoMTA crates/tsa-daemon/src/http_server.rs, publish.rs; assets/policy-extras/shaping.lua. What kumod cannot stand: a
websocket ping (nothing but text frames is sent), 304, a refusal of a record that will never be accepted.
A browser is refused: it would forge records from a page of a stranger's, and names its page (`Origin`, `Sec-Fetch-Site`).
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import zlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from monitor.config.mta import KumoMta
from monitor.mta.kumomta.hub import Frame, Subscriber, texts
from monitor.mta.kumomta.publish import Publishing
from monitor.mta.kumomta.speaker import Speaker

log = logging.getLogger(__name__)
MOST_BYTES = 2 * 1024 * 1024
BODY_SECONDS = 30.0
_KEPT = 64 * 1024  # of a record that is too large
_TEXT, _JSON = b"text/plain; charset=utf-8", b"application/json"

Background = Callable[[], Awaitable[None]]


class KumoServer:
    """`background`: what runs beside, from the start of the application to its end."""

    def __init__(
        self, settings: KumoMta, speaker: Speaker, publishing: Publishing, clock: Callable[[], datetime],
        background: tuple[Background, ...] = (),
    ) -> None:
        self._settings, self._speaker, self._publishing, self._clock = settings, speaker, publishing, clock
        self._background = (speaker.run, publishing.run, *background)
        self._tokens = {name: node.token.get_secret_value().encode() for name, node in settings.nodes.items()}
        self._subscribe = {"subscribe_event_v1": False, "subscribe_suspension_v1": True}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        node, path = self._addressed(scope)
        if scope["type"] == "websocket":
            await self._websocket(node, path, receive, send)
        elif node is None:
            await _answer(send, 403, b"not from here, or not with this token\n")
        else:
            await self._http(node, scope, path, receive, send)

    def stopping(self) -> None:
        """Nothing more is answered: let those go that listen."""
        self._speaker.hub.close()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        tasks = [asyncio.ensure_future(each()) for each in self._background]
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._speaker.hub.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await send({"type": "lifespan.shutdown.complete"})

    def _addressed(self, scope: Scope) -> tuple[str | None, str]:
        """Who asks (None: nobody who may) and for what."""
        client = scope.get("client") or ("", 0)
        path = [part for part in scope["path"].split("/") if part]
        if _from_a_browser(scope) or not self._is_allowed(client[0]):
            return None, ""
        if not self._tokens:
            return client[0], "/".join(path)
        given = path[0].encode() if path else b""
        matching = [name for name, token in self._tokens.items() if hmac.compare_digest(token, given)]
        return (matching[0], "/".join(path[1:])) if matching else (None, "")

    def _is_allowed(self, client: str) -> bool:
        if not self._settings.networks:
            return True
        try:
            address = ipaddress.ip_address(client)
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._settings.networks)

    # ── HTTP ──

    async def _http(self, node: str, scope: Scope, path: str, receive: Receive, send: Send) -> None:
        method = scope["method"]
        if (method, path) == ("POST", "publish_log_v1"):
            await self._publish(node, scope, receive, send)
            return
        answers: Mapping[str, Callable[[], tuple[bytes, bytes]]] = {
            "get_config_v1/shaping.toml": lambda: (self._speaker.overlay, _TEXT),
            "get_suspension_v1/suspended.json": lambda: (orjson.dumps(self._speaker.hub.document(self._clock())), _JSON),
            "get_bounce_v1/bounced.json": lambda: (b"[]", _JSON),  # none is ever made: mail that bounced does not come back
            "tsa/status": lambda: (b"TSA Daemon OK", _TEXT),
            "vigie/status": lambda: (orjson.dumps(self._status()), _JSON),
        }
        if path not in answers:
            await _answer(send, 404, b"no such page\n")
        elif method not in ("GET", "HEAD"):
            await _answer(send, 405, b"GET is wanted\n")
        else:
            body, media_type = answers[path]()
            await _answer(send, 200, body, media_type)

    async def _publish(self, node: str, scope: Scope, receive: Receive, send: Send) -> None:
        """200 once it is safe (also what cannot be read), 503 where it is not: kumod keeps it and comes again."""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                raw, whole = await _body(receive)
        except TimeoutError:
            await _answer(send, 408, b"the record did not come in time\n")
            return
        encoding = next((value for name, value in scope["headers"] if name.lower() == b"content-encoding"), b"identity")
        if whole and encoding.lower() in (b"gzip", b"deflate"):
            raw, whole = _unpacked(raw)
        if await self._publishing.put(raw, node, whole=whole):
            await _answer(send, 200, b"")
        else:
            await _answer(send, 503, b"the record could not be stored; it is wanted again\n")

    def _status(self) -> dict[str, Any]:
        return {**self._speaker.status(), "records": {"counted": self._publishing.counted, "parked": self._publishing.parked}}

    # ── websocket ──

    async def _websocket(self, node: str | None, path: str, receive: Receive, send: Send) -> None:
        await receive()  # the request to connect
        old = self._subscribe.get(path)
        if node is None or old is None or not self._speaker.gate.ready:
            await send({"type": "websocket.close", "code": 1013})
            return
        await send({"type": "websocket.accept"})
        subscriber = Subscriber(node)
        subscriber.put(self._speaker.hub.replay(self._clock()))
        self._speaker.hub.subscribers.add(subscriber)
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            await _send_all(subscriber, send, gone, old=old)
        finally:
            self._speaker.hub.subscribers.discard(subscriber)
            gone.cancel()


async def _send_all(subscriber: Subscriber, send: Send, gone: asyncio.Future[None], *, old: bool) -> None:
    while not gone.done():
        news = asyncio.ensure_future(subscriber.waiting.get())
        both: set[asyncio.Future[Any]] = {news, gone}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not news.done():
            news.cancel()
            return
        frames: list[Frame] | None = news.result()
        if frames is None:
            return  # the connection ends with the call
        for text in texts(frames, old=old):
            await send({"type": "websocket.send", "text": text})


async def _until_gone(receive: Receive) -> None:
    """Kumod says nothing; whatever it says is no matter."""
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def _body(receive: Receive) -> tuple[bytes, bool]:
    """The body, and whether that is all of it; what is too large is read to its end and only its beginning kept."""
    body, whole = bytearray(), True
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise TimeoutError
        if whole:
            body += message.get("body", b"")
            if len(body) > MOST_BYTES:
                whole = False
                del body[_KEPT:]
        if not message.get("more_body"):
            return bytes(body), whole


def _unpacked(raw: bytes) -> tuple[bytes, bool]:
    """As TSA takes it, gzip or zlib; what is neither, or too large, is parked as it came."""
    stream = zlib.decompressobj(wbits=47)
    try:
        plain = stream.decompress(raw, MOST_BYTES)
    except zlib.error:
        return raw, True
    return (plain, True) if stream.eof else (plain[:_KEPT], False)


def _from_a_browser(scope: Scope) -> bool:
    return any(name.lower() in (b"origin", b"sec-fetch-site") for name, _ in scope["headers"])


async def _answer(send: Send, status: int, body: bytes, media_type: bytes = _TEXT) -> None:
    headers = [(b"content-type", media_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
