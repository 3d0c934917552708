"""Who may do what: the key in `Authorization`, its scopes, and the one customer it may be bound to."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from sqlalchemy.exc import SQLAlchemyError

from monitor.access.keys import Caller, KeyScope
from monitor.api.problem import Problem
from monitor.api.services import Services

_RELOAD_SECONDS = 0.1  # guessing at keys must not become work for the database
_NO_KEY = "a key is needed: Authorization: Bearer vigie_…  (vigie keys create)"
_bearer = HTTPBearer(auto_error=False, description="A key of `vigie keys create`")


class Access:
    """Finds the caller of a request; a key made a moment ago is looked up once more."""

    def __init__(self, services: Services) -> None:
        self.store = services.store
        self._services = services
        self._reloaded = 0.0

    async def require(self, authorization: str, scope: KeyScope, challenge: str = "bearer") -> Caller:
        """The caller, who may do this; raises the problem (401, 403) otherwise."""
        key = key_in(authorization, challenge)
        caller = await self._holder(key) if key is not None else None
        if caller is None:
            raise Problem(401, _NO_KEY, headers={"WWW-Authenticate": f'{challenge.title()} realm="vigie"'})
        if not caller.may(scope):
            raise Problem(403, f"this key has not the scope {scope}")
        return caller

    async def _holder(self, key: str) -> Caller | None:
        gate = self._services.gate
        caller = gate.keys.caller(key)
        if caller is None and time.monotonic() - self._reloaded > _RELOAD_SECONDS:
            self._reloaded = time.monotonic()
            try:
                await asyncio.to_thread(gate.refresh_keys, self._services.store)
            except (SQLAlchemyError, OSError):
                away = {"Retry-After": "2"}
                raise Problem(503, "the key cannot be looked up: the database does not answer", headers=away) from None
            caller = gate.keys.caller(key)
        return caller


def key_in(authorization: str, challenge: str) -> str | None:
    """The key in an Authorization header: `bearer`, or the password where the challenge was `basic`.

    Browsers send a password again by themselves, also when another site makes them call; so it opens pages,
    and never the API.
    """
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if (scheme.lower(), challenge) != ("basic", "basic"):
        return None
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None


class Guard:
    """A FastAPI dependency: the caller, who must have this scope. Browsers answer the challenge `basic`."""

    def __init__(self, scope: KeyScope, challenge: str = "bearer") -> None:
        self._scope, self._challenge = scope, challenge

    async def __call__(self, request: Request, _: object = Depends(_bearer)) -> Caller:
        access: Access = request.app.state.access
        request.state.caller = caller = await self.check(access, request)
        return caller

    async def check(self, access: Access, request: Request) -> Caller:
        """The caller. Raises the problem (401, 403) otherwise."""
        return await access.require(request.headers.get("authorization", ""), self._scope, self._challenge)


def all_customers(caller: Caller) -> None:
    """Raise unless the key is free of any one customer: what follows is everybody's."""
    if caller.customer is not None:
        raise Problem(403, f"this key is bound to {caller.customer}; this is about all customers")
