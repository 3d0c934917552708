"""One HTTP request to a chat or pager, and what became of it, in words without any address.

Never followed: redirects (a receiver's credentials go where the operator wrote). Read: 64 KiB of the answer at most.
A time-out is not "not delivered": what is sent again carries the same key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson

from collectors.contract import Reason

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 15.0
_LARGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """`error` None: accepted. `body`: the JSON object answered; empty where there was none."""

    error: str | None
    body: Mapping[str, Any]
    retry_after: timedelta | None = None
    status: int = 0


def send(
    url: str, content: bytes, headers: Mapping[str, str], *, method: str = "POST", now: datetime | None = None
) -> Answer:
    """Send JSON. Raises nothing for what the other side does."""
    timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    try:
        with httpx.stream(
            method, url, content=content, headers={"content-type": "application/json", **headers}, timeout=timeout,
            follow_redirects=False,
        ) as answer:  # fmt: skip
            return _judged(answer, _read(answer), now or datetime.now(UTC))
    except httpx.TimeoutException:
        return Answer(f"{Reason.TIMEOUT}: no answer in time; it may have arrived", {})
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Answer(f"{Reason.NETWORK}: {type(error).__name__}", {})


def _read(answer: httpx.Response) -> bytes:
    taken = b""
    for piece in answer.iter_bytes():
        taken += piece
        if len(taken) > _LARGEST:
            return b""
    return taken


def _judged(answer: httpx.Response, raw: bytes, now: datetime) -> Answer:
    try:
        body = orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError:
        body = {}
    body = body if isinstance(body, dict) else {}
    status = answer.status_code
    if 200 <= status < 300:
        return Answer(None, body, status=status)
    reason = {401: Reason.AUTH, 403: Reason.AUTH, 404: Reason.NOT_FOUND, 410: Reason.NOT_FOUND, 429: Reason.QUOTA}.get(status, Reason.REFUSED)
    return Answer(f"{reason}: answered {status}", body, retry_after(answer.headers.get("retry-after"), now), status)


def retry_after(text: str | None, now: datetime) -> timedelta | None:
    """RFC 9110, 10.2.3: seconds or a date; None for what is neither."""
    if text is None:
        return None
    if text.strip().isdecimal() and len(text) < 10:
        return timedelta(seconds=int(text))
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(at - now, timedelta(0)) if at.tzinfo else None
