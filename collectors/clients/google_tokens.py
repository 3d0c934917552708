"""Access tokens for Google's APIs: of a user who consented, or of a service account that acts for one.

Asks the token endpoint with a refresh token (RFC 6749, 6) or a signed assertion (RFC 7523, 2.1; RS256). A credential that has ended
(`invalid_grant`) is `reauth_required`. A refresh token that Google replaces, which it is not known to do, is kept in memory only.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from collectors.clients.oauth2 import AccessTokens, Grant, RefreshedTokens, Token, granted
from collectors.contract import CollectorError, Reason

_JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_SECONDS: Final = 3600


class _InMemory:
    def __init__(self) -> None:
        self._token: str | None = None

    def load(self) -> str | None:
        return self._token

    def save(self, refresh_token: str) -> None:
        self._token = refresh_token


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """`email` signs, `subject` is the user of the domain it acts for; the answer is a token of `scope`."""

    name: str
    email: str
    key: RSAPrivateKey = field(repr=False)
    subject: str | None
    token_url: str
    audience: str
    scope: str
    clock: Callable[[], datetime]

    def __call__(self) -> Token:
        grant = Grant(self.name, self.token_url, self.email, "", ended=Reason.REAUTH_REQUIRED)
        return granted(grant, {"grant_type": _JWT_BEARER, "assertion": self.assertion()})

    def assertion(self) -> str:
        now = int(self.clock().timestamp())
        claims: dict[str, Any] = {"iss": self.email, "scope": self.scope, "aud": self.audience, "iat": now, "exp": now + _ASSERTION_SECONDS}
        claims |= {"sub": self.subject} if self.subject else {}
        signed = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}"
        signature = self.key.sign(signed.encode(), PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64(signature)}"


def google_tokens(name: str, credential: str, token_url: str, scope: str, clock: Callable[[], datetime]) -> AccessTokens:
    """`credential`: JSON, `authorized_user` or a key file of a service account with `subject`. Raises CollectorError(config)."""
    try:
        content = json.loads(credential)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise _unfit(name, "it is no JSON object")
    if content.get("type") == "authorized_user":
        client_id, secret, refresh = (_text(name, content, key) for key in ("client_id", "client_secret", "refresh_token"))
        grant = Grant(name, token_url, client_id, refresh, secret, ended=Reason.REAUTH_REQUIRED)
        return AccessTokens(RefreshedTokens(grant, _InMemory()))
    if content.get("type") == "service_account":
        subject = content.get("subject")
        audience = content.get("token_uri") or token_url
        if not isinstance(audience, str) or not isinstance(subject, str | None):
            raise _unfit(name, "its token_uri and subject are texts")
        return AccessTokens(ServiceAccount(
            name, _text(name, content, "client_email"), _private_key(name, _text(name, content, "private_key")), subject, token_url, audience, scope, clock,
        ))  # fmt: skip
    raise _unfit(name, "its type is neither authorized_user nor service_account")


def _private_key(name: str, pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _unfit(name, "its private_key cannot be read (PEM, without a password)") from None
    if not isinstance(key, RSAPrivateKey):
        raise _unfit(name, "its private_key is no RSA key")
    return key


def _text(name: str, content: Mapping[str, Any], key: str) -> str:
    value = content.get(key)
    if not isinstance(value, str) or not value:
        raise _unfit(name, f"it has no {key}")
    return value


def _unfit(name: str, why: str) -> CollectorError:
    return CollectorError(Reason.CONFIG, f"secret '{name}' is no credential for Google: {why}")


def _part(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
