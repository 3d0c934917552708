"""What a user may set of how an HTTP source is asked."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_UNITS = {"": 1, "b": 1, "kib": 1024, "mib": 1024**2, "gib": 1024**3}
_SIZE = re.compile(r"(\d{1,9})\s*([a-zA-Z]*)")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def _bytes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if match is None or match[2].lower() not in _UNITS:
        raise ValueError("a size is a number of bytes, or one with KiB, MiB or GiB, as 32MiB")
    return int(match[1]) * _UNITS[match[2].lower()]


def checked_base(url: str) -> str:
    """A base URL as it is used; http:// only towards loopback, where nobody listens in. Raises ValueError."""
    parts = urlsplit(url)
    if not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{url!r} is no base URL: write https://HOST/PATH, without user, query and fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError(f"{url!r}: write https:// (http:// only towards loopback)")
    if url.endswith("/"):
        raise ValueError(f"{url!r}: no / at its end")
    return url


class HttpSettings(BaseModel):
    """Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timeout: timedelta = Field(timedelta(seconds=20), gt=timedelta(0))
    tries: int = Field(5, ge=1, le=20)
    backoff: timedelta = Field(timedelta(seconds=1), ge=timedelta(0))
    most_wait: timedelta = Field(timedelta(seconds=60), ge=timedelta(0))
    per_second: float | None = Field(None, gt=0)
    per_day: int | None = Field(None, gt=0)
    max_body: Annotated[int, BeforeValidator(_bytes)] = Field(32 * 1024**2, gt=0)
