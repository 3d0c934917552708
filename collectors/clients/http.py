"""Asking an HTTP API so that it goes on answering: time limits, patience, quotas, bounded bodies, and no secret in any text.

Asks whatever base URL its collector is given, through httpx. Retries what may pass (RFC 9110, 15.6 and `Retry-After` in 10.2.3;
RFC 6585, 4 for 429) with a jittered wait that doubles; asks again only what may be asked twice. A wait above `most_wait` ends the
run as `quota` and is remembered, as are the questions of the UTC day (`saved`): the collector keeps both in its cursor, so that
they hold over restarts. Redirects are never followed: they would carry the token elsewhere.
It may be wrong about a quota that others use up with the same credential, and, after a crash, by the questions since the last cursor.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
import re
import ssl
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from collectors.clients.http_settings import HttpSettings
from collectors.clients.oauth2 import reason_of, without
from collectors.contract import CollectorError, Reason

_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_STATUS = {400: Reason.REFUSED, 401: Reason.AUTH, 403: Reason.AUTH, 404: Reason.NOT_FOUND, 408: Reason.TIMEOUT,
           413: Reason.TOO_LARGE, 429: Reason.QUOTA}
_AGAIN = frozenset({Reason.TIMEOUT, Reason.NETWORK})
_VALIDATORS = 2_000  # URLs whose validators are kept
_STEP_SECONDS = 0.5  # of a wait, between two looks whether the run should end
_PIECE = 65_536
_NEVER_GONE = re.compile(r"no longer supported", re.IGNORECASE)  # Google v1: a 429 for good


class _WithoutRequests(logging.Filter):
    """httpx logs each URL, httpcore each header; either may carry a key."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING


for _name in ("httpx", "httpcore", "httpcore.http11", "httpcore.http2", "httpcore.connection", "httpcore.proxy"):
    logging.getLogger(_name).addFilter(_WithoutRequests())


@dataclass(frozen=True, slots=True)
class Request:
    """`repeatable`: asking twice does no more than asking once. `conditional`: only what changed since it was `kept` is wanted."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = None
    repeatable: bool = True
    conditional: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """`unchanged`: a 304. `url` carries no query."""

    status: int
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    key: str = ""

    @property
    def unchanged(self) -> bool:
        return self.status == 304

    @property
    def is_html(self) -> bool:
        """A login or error page where data was asked for."""
        return "html" in self.headers.get("content-type", "") or self.body.lstrip()[:1] == b"<"

    def json(self) -> Any:
        """Raises CollectorError(malformed), auth where it is a page."""
        if self.is_html:
            raise CollectorError(Reason.AUTH, f"{self.url} answers with a page instead of data — log in anew")
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise CollectorError(Reason.MALFORMED, f"{self.url} answers with what is no JSON") from None


@dataclass(slots=True)
class _Host:
    """What is known of one host: its questions of the day, until when it wants none, when the next is due."""

    requests: int = 0
    not_before: datetime | None = None
    next_at: float = 0.0


class HttpClient:
    """One collector's way to its hosts in one run; not for several threads. `saved` is what `saved()` gave last."""

    def __init__(
        self, settings: HttpSettings, now: datetime, saved: Mapping[str, Any] | None = None, *,
        stopping: Callable[[], bool] = lambda: False, monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        waiting_of: Callable[[Answer], float | None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._began, self._monotonic, self._sleep = now, monotonic, sleep
        self._began_at = monotonic()
        self._stopping = stopping
        self._waiting_of = waiting_of
        self._secrets: list[str] = []
        self._hosts: dict[str, _Host] = {}
        self._validators: dict[str, list[str]] = {}
        self._random = random.Random()  # noqa: S311 - spreads waits, guards nothing
        self.requests = 0
        self._counted_on = self._day()
        self._load(saved or {})
        self._client = httpx.Client(
            verify=ssl.create_default_context(), timeout=settings.timeout.total_seconds(), follow_redirects=False, trust_env=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def hide(self, *secrets: str) -> None:
        """These stand in no text of ours from now on."""
        self._secrets += [secret for secret in secrets if secret]

    def redacted(self, text: str) -> str:
        return without(text, *self._secrets)

    def saved(self) -> dict[str, Any]:
        """For the cursor: what must hold over a restart."""
        return {
            "day": self._day(),
            "hosts": {name: {"requests": host.requests, "not_before": host.not_before.isoformat() if host.not_before else None}
                      for name, host in self._hosts.items()},
            "validators": self._validators,
        }

    def keep(self, answer: Answer) -> None:
        """What it says is in the store with the next cursor: from then on only a change is asked for."""
        kept = [answer.headers.get("etag", ""), answer.headers.get("last-modified", "")]
        if any(kept):
            self._validators.pop(answer.key, None)
            self._validators[answer.key] = kept
            while len(self._validators) > _VALIDATORS:
                del self._validators[next(iter(self._validators))]

    def send(self, request: Request) -> Answer:
        """The answer, whatever its status, unless it may pass and did not within `tries`.

        Raises CollectorError: timeout, network, tls, quota, too_large, malformed, config.
        """
        wait = self._settings.backoff.total_seconds()
        for left in range(self._settings.tries - 1, -1, -1):
            self._admit(request)
            try:
                answer = self._asked(request)
            except CollectorError as error:
                if error.reason not in _AGAIN or not request.repeatable or not left:
                    raise
                self._pause(self._jittered(wait))
            else:
                gone = _NEVER_GONE.search(answer.body[:_PIECE].decode("utf-8", "replace"))
                if answer.status not in _PASSING or (answer.status == 429 and gone):
                    return answer
                self._hold(request, answer, wait, left=left)
            wait *= 2
        raise AssertionError("the last try returns or raises")

    def refusal(self, answer: Answer, reason: Reason | None = None, do: str = "") -> CollectorError:
        """What an answer that is no success means, in its own words without our secrets."""
        body = "a page" if answer.is_html else " ".join(answer.body[:1000].decode("utf-8", "replace").split())
        text = self.redacted(f"{answer.url}: HTTP {answer.status}{': ' + body if body else ''}")
        return CollectorError(reason or reason_of_status(answer.status), f"{text}{' — ' + do if do else ''}")

    def _hold(self, request: Request, answer: Answer, wait: float, *, left: int) -> None:
        """Wait as the server asks; raises where that is too long, or there is no try left."""
        wanted = max(_retry_after(answer, self._now()) or 0.0, self._waiting_of(answer) or 0.0)
        host = self._host(request.url)
        if wanted > self._settings.most_wait.total_seconds():
            host.not_before = self._now() + timedelta(seconds=min(wanted, 86_400.0 * 31))
            raise self.refusal(answer, Reason.QUOTA, f"asked again from {host.not_before:%Y-%m-%d %H:%M} UTC on")
        if not left or not (request.repeatable or answer.status in {429, 503}):
            raise self.refusal(answer)
        self._pause(min(max(wanted, self._jittered(wait)), self._settings.most_wait.total_seconds()))

    def _jittered(self, wait: float) -> float:
        """Never under `wait`, so that `backoff` is the least; the doubling has room for the rest."""
        return min(wait * self._random.uniform(1.0, 1.5), self._settings.most_wait.total_seconds())

    def _admit(self, request: Request) -> None:
        """Takes one of the day's questions; raises quota where there is none, or the host wants none yet."""
        host = self._host(request.url)
        now = self._now()
        self._turn_of_day()
        if host.not_before is not None and now < host.not_before:
            raise CollectorError(Reason.QUOTA, f"{_named(request.url)} asked us to wait until {host.not_before:%Y-%m-%d %H:%M} UTC")
        host.not_before = None
        if self._settings.per_day is not None and host.requests >= self._settings.per_day:
            raise CollectorError(Reason.QUOTA, f"{_named(request.url)}: the day's {self._settings.per_day} requests are made"
                                               " (http.per_day) — it goes on at 00:00 UTC")
        if self._settings.per_second is not None:
            self._pause(host.next_at - self._monotonic())
            host.next_at = self._monotonic() + 1 / self._settings.per_second
        host.requests += 1
        self.requests += 1

    def _asked(self, request: Request) -> Answer:
        named = _named(request.url)
        key = hashlib.sha256(f"{request.url}?{sorted(request.params.items())}".encode()).hexdigest()[:24]
        headers = {"Accept-Encoding": "gzip", **request.headers, **(self._conditions(key) if request.conditional else {})}
        ends_at = self._monotonic() + self._settings.timeout.total_seconds()
        body = b""
        try:
            with self._client.stream(
                request.method, request.url, headers=headers, params=request.params or None, json=request.json
            ) as response:
                for piece in response.iter_raw(_PIECE):
                    body += piece
                    if len(body) > self._settings.max_body:
                        raise self._too_large(named)
                    if self._monotonic() > ends_at:
                        raise CollectorError(Reason.TIMEOUT, f"{named} took more than {self._settings.timeout.total_seconds():g} s")
                fields = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status_code, named, fields, self._unpacked(body, fields, named), key)
        except httpx.RemoteProtocolError as error:  # an answer that was cut off
            raise CollectorError(Reason.NETWORK, f"{named}: {type(error).__name__}") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            raise CollectorError(reason_of(error), f"{named}: {type(error).__name__}") from None

    def _conditions(self, key: str) -> dict[str, str]:
        etag, modified = self._validators.get(key, ["", ""])
        return {name: value for name, value in (("If-None-Match", etag), ("If-Modified-Since", modified)) if value}

    def _unpacked(self, body: bytes, headers: Mapping[str, str], named: str) -> bytes:
        """Never more than `max_body`, whatever it unpacks to."""
        coding = headers.get("content-encoding", "").strip().lower()
        if coding in {"", "identity"} or not body:
            return body
        if coding not in {"gzip", "x-gzip"}:
            raise CollectorError(Reason.MALFORMED, f"{named} answers in the coding {self.redacted(coding)!r}, which nobody asked for")
        unpacker = zlib.decompressobj(31)
        try:
            whole = unpacker.decompress(body, self._settings.max_body + 1)
        except zlib.error:
            raise CollectorError(Reason.MALFORMED, f"{named}: its gzip cannot be read") from None
        if len(whole) > self._settings.max_body:
            raise self._too_large(named)
        if not unpacker.eof:
            raise CollectorError(Reason.NETWORK, f"{named}: its answer was cut off")
        return whole

    def _too_large(self, named: str) -> CollectorError:
        return CollectorError(Reason.TOO_LARGE, f"{named} answers with more than {self._settings.max_body} bytes (http.max_body)")

    def _pause(self, seconds: float) -> None:
        """Raises network where the run should end meanwhile."""
        while seconds > 0:
            if self._stopping():
                raise CollectorError(Reason.NETWORK, "Vigie is stopping: the rest is asked at the next turn")
            step = min(seconds, _STEP_SECONDS)
            self._sleep(step)
            seconds -= step

    def _host(self, url: str) -> _Host:
        return self._hosts.setdefault(urlsplit(url).netloc.lower().rpartition("@")[2], _Host())

    def _now(self) -> datetime:
        return self._began + timedelta(seconds=self._monotonic() - self._began_at)

    def _day(self) -> str:
        return self._now().astimezone(UTC).date().isoformat()

    def _turn_of_day(self) -> None:
        if self._counted_on != self._day():
            self._counted_on = self._day()
            for host in self._hosts.values():
                host.requests = 0

    def _load(self, saved: Mapping[str, Any]) -> None:
        for name, kept in dict(saved.get("hosts") or {}).items():
            until = kept.get("not_before")
            requests = int(kept.get("requests", 0)) if saved.get("day") == self._counted_on else 0
            self._hosts[name] = _Host(requests, datetime.fromisoformat(until) if until else None)
        self._validators = {key: list(kept) for key, kept in dict(saved.get("validators") or {}).items()}


def reason_of_status(status: int) -> Reason:
    return _STATUS.get(status, Reason.NETWORK if status >= 500 else Reason.REFUSED)


def _named(url: str) -> str:
    """A URL that may be shown: neither its user nor its query, either of which may be a key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _retry_after(answer: Answer, now: datetime) -> float | None:
    """Seconds or a date (RFC 9110, 10.2.3); what is neither says nothing."""
    stated = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", stated):
        return float(stated)
    try:
        at = parsedate_to_datetime(stated)
    except (ValueError, TypeError):
        return None
    return max((at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds(), 0.0)
