"""Links in messages that lead to a page where one incident is acknowledged or silenced. Pure.

The link itself is the permission, for one incident and a week: it is signed, and names whose message it came in. What fetches links
to show a preview of them only gets the page; a person presses the button.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

GOOD_FOR = timedelta(days=7)
_LONGEST = 500
_PURPOSE = "links in messages"


class LinkError(ValueError):
    """The link is none of ours, or its time is over; the text says which."""


@dataclass(frozen=True, slots=True)
class Link:
    """Whoever reads the messages of `receiver` may act on the incident until `ends_at` (whole seconds)."""

    incident: str
    receiver: str
    ends_at: datetime


class Links:
    """Writes and reads tokens; `derived` gives a key for a purpose, `address` is that of the console."""

    def __init__(self, derived: Callable[[str], bytes], address: str) -> None:
        self._derived, self._address = derived, address

    def of(self, incident: str, receiver: str, at: datetime) -> dict[str, str]:
        """Words of a button → address, in a message of then."""
        token = self.token(Link(incident, receiver, at + GOOD_FOR))
        return {"Acknowledge or silence": f"{self._address}/act/{token}"}

    def token(self, link: Link) -> str:
        written = f"{link.incident}\n{link.receiver}\n{int(link.ends_at.timestamp())}".encode()
        return _text(written) + "." + _text(self._signature(written))

    def read(self, token: str, now: datetime) -> Link:
        """Raises LinkError."""
        payload, _, signature = token.partition(".")
        try:
            written, given = _bytes(payload), _bytes(signature)
        except (binascii.Error, ValueError):
            raise LinkError("this link is not complete") from None
        if len(token) > _LONGEST or not hmac.compare_digest(self._signature(written), given):
            raise LinkError("this link is not one of ours, or not complete")
        incident, receiver, ends_at = written.decode().split("\n")
        link = Link(incident, receiver, datetime.fromtimestamp(int(ends_at), UTC))
        if link.ends_at <= now:
            raise LinkError(f"this link was good until {link.ends_at:%Y-%m-%d %H:%M UTC}; use the console")
        return link

    def _signature(self, written: bytes) -> bytes:
        return hmac.new(self._derived(_PURPOSE), written, hashlib.sha256).digest()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
