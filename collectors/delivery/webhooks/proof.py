"""Whether a post is a relay's: its signature, or the password in its address. Pure, but for the certificate that is handed in.

An old proof is refused where the relay dates its proofs: five minutes on either side.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

WINDOW = timedelta(minutes=5)


class NotProvenError(Exception):
    """The post is not shown to be the relay's. `challenge`: it may come again with a password."""

    def __init__(self, text: str, *, challenge: bool = False) -> None:
        super().__init__(text)
        self.text, self.challenge = text, challenge


@dataclass(frozen=True, slots=True)
class Post:
    """What came: `headers` by lower-case name; `url`: the address it was posted to, as the relay knows it. `certificate` answers the certificate (PEM) at an address of the relay's."""

    body: bytes
    now: datetime
    headers: Mapping[str, str] = field(default_factory=dict)
    secret: str = ""
    topics: frozenset[str] = frozenset()
    certificate: Callable[[str], bytes] | None = None
    url: str = ""


def recent(stated: str, now: datetime) -> None:
    """Raises NotProvenError for a time (seconds since 1970) that is not about now."""
    if not (stated.isascii() and stated.isdigit() and len(stated) <= 12):
        raise NotProvenError("the signature carries no time")
    if abs(now.timestamp() - int(stated)) > WINDOW.total_seconds():
        raise NotProvenError("the signature is of another time: more than 5 minutes off")


def hmac_sha256(secret: str, text: bytes, stated: str) -> None:
    """Raises NotProvenError unless `stated` is the keyed hash, in hexadecimal digits."""
    if not hmac.compare_digest(hmac.new(secret.encode(), text, hashlib.sha256).hexdigest().encode(), stated.lower().encode()):
        raise NotProvenError("the signature is not by the key that is configured")


def ecdsa_sha256(public_key: str, text: bytes, stated: str) -> None:
    """Raises NotProvenError unless `stated` (base64) is the signature of the text by this key (DER, base64)."""
    key, signature = _read(public_key, stated)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise NotProvenError("the public key that is configured is not one of an elliptic curve")
    try:
        key.verify(signature, text, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise NotProvenError("the signature is not by the key that is configured") from None


def _read(public_key: str, stated: str) -> tuple[PublicKeyTypes, bytes]:
    """The key (DER) and the signature, both in base64. Raises NotProvenError."""
    try:
        return serialization.load_der_public_key(base64.b64decode(public_key, validate=True)), base64.b64decode(stated, validate=True)
    except (ValueError, binascii.Error):
        raise NotProvenError("the signature or the public key that is configured cannot be read") from None


def rsa_sha1(public_key: str, text: bytes, stated: str) -> None:
    """The same of an RSA signature (PKCS 1) over SHA-1."""
    key, signature = _read(public_key, stated)
    if not isinstance(key, rsa.RSAPublicKey):
        raise NotProvenError("the public key that is configured is not one of RSA")
    try:
        key.verify(signature, text, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - what Postal signs with
    except InvalidSignature:
        raise NotProvenError("the signature is not by the key that is configured") from None


def password(post: Post) -> None:
    """Basic authentication: the secret is `user:password`."""
    scheme, _, value = post.headers.get("authorization", "").partition(" ")
    try:
        given = base64.b64decode(value, validate=True) if scheme.lower() == "basic" else b""
    except (ValueError, binascii.Error):
        given = b""
    if not post.secret or not hmac.compare_digest(given, post.secret.encode()):
        raise NotProvenError("the user and password of this webhook are needed", challenge=True)
