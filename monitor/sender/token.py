"""A token that says whose mail it was, for places a report brings back: the return path, our own headers.

    b+<token>@bounces.example.com        X-Vigie-Token: <token>        CFBL-Feedback-ID: <token>

RFC 9477 advises an HMAC there, for whoever can invent a report could unsubscribe people. What is in it:

    1 byte   version 1 and which of the optional fields follow
    5 bytes  the name of the customer's key
    4 bytes  reference of the stream      (optional)
    4 bytes  reference of the campaign    (optional)
    10 bytes reference of the recipient   (optional, `recipient_ref`)
    10 bytes HMAC-SHA256 of all that, cut to 80 bits

in base32 of RFC 4648, which survives servers that fold case: at most 55 characters, 57 with `b+` before it; a
local part may have 64. References are keyed hashes, so that a token shows a stranger neither stream nor
campaign; they are found again among the names the inventory knows, in whatever order it lists them.

A token lives as long as its key: one that is garbled, blotted out, forged or of a key given up reads as None.
It shows that the mail was ours, not who sends the report: whoever got the mail can show the token. Pure;
standard library only.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from monitor.sender.recipient import REF_BYTES, key_name

PREFIX = "b+"  # before the token in a return path
HEADER = "X-Vigie-Token"
_VERSION = 1 << 4
_KEY, _REF, _MAC = 5, 4, 10
# flag → the optional field it announces and its length, in the order they stand
_FIELDS = ((1, "stream", _REF), (2, "campaign", _REF), (4, "recipient", REF_BYTES))
LENGTHS = range(-(-8 * (1 + _KEY + _MAC) // 5), 56)  # characters of a token


@dataclass(frozen=True, slots=True)
class Token:
    """What a genuine token says. References are None where the sender left them out."""

    customer: str
    key: bytes
    stream: bytes | None = None
    campaign: bytes | None = None
    recipient: bytes | None = None

    def stream_among(self, names: Iterable[str]) -> str | None:
        """The stream's name; None when it is not among these, or two of them share the reference."""
        return _among(self.key, "stream", self.stream, names)

    def campaign_among(self, names: Iterable[str]) -> str | None:
        return _among(self.key, "campaign", self.campaign, names)


Keys = Mapping[bytes, tuple[str, bytes]]  # name of the key → customer, key


def make_token(
    key: bytes,
    customer: str,
    stream: str | None = None,
    campaign: str | None = None,
    recipient_ref: bytes | None = None,
) -> str:
    """A token with the key of this customer. Raises ValueError for a `recipient_ref` that is none."""
    if recipient_ref is not None and len(recipient_ref) != REF_BYTES:
        raise ValueError(f"a recipient_ref has {REF_BYTES} bytes")
    parts = {
        "stream": stream and _reference(key, "stream", stream),
        "campaign": campaign and _reference(key, "campaign", campaign),
        "recipient": recipient_ref,
    }
    flags = sum(flag for flag, name, _ in _FIELDS if parts[name])
    body = bytes([_VERSION | flags]) + key_name(key) + b"".join(parts[name] or b"" for _, name, _ in _FIELDS)
    return base64.b32encode(body + _mac(key, customer, body)).decode().rstrip("=").lower()


def keys_of(keys: Iterable[tuple[str, bytes]]) -> Keys:
    """Customers' keys for `read_token`; a customer may have several while one is being replaced."""
    return {key_name(key): (customer, key) for customer, key in keys}


def read_token(keys: Keys, text: str) -> Token | None:
    """What a token says, in whatever case it comes back; None for anything that is no token of these keys."""
    raw = _decoded(text)
    if raw is None or raw[0] & ~7 != _VERSION:
        return None
    body, mac = raw[:-_MAC], raw[-_MAC:]
    customer, key = keys.get(body[1 : 1 + _KEY], ("", b""))
    if not key or not hmac.compare_digest(mac, _mac(key, customer, body)):
        return None
    at, references = 1 + _KEY, {}
    for flag, name, length in _FIELDS:
        if body[0] & flag:
            references[name] = body[at : at + length]
            at += length
    return Token(customer, key, **references)


def _decoded(text: str) -> bytes | None:
    if len(text) not in LENGTHS or not text.isascii():
        return None
    whole = text.upper()
    try:
        raw = base64.b32decode(whole + "=" * (-len(whole) % 8))
    except ValueError:
        return None
    # the last character has bits to spare: only one way of writing them is ours
    return raw if base64.b32encode(raw).decode().rstrip("=") == whole else None


def _mac(key: bytes, customer: str, body: bytes) -> bytes:
    signed = b"token\0" + customer.encode("utf-8", "surrogatepass") + b"\0" + body
    return hmac.digest(key, signed, "sha256")[:_MAC]


def _reference(key: bytes, kind: str, name: str) -> bytes:
    return hmac.digest(key, f"{kind}\0{name}".encode("utf-8", "surrogatepass"), "sha256")[:_REF]


def _among(key: bytes, kind: str, reference: bytes | None, names: Iterable[str]) -> str | None:
    if reference is None:
        return None
    matches = [name for name in names if _reference(key, kind, name) == reference]
    return matches[0] if len(matches) == 1 else None
