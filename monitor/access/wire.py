"""How API keys are printed: never their hash, and the key itself only when it is made."""

from __future__ import annotations

from datetime import datetime

from monitor.access.keys import KeyScope
from monitor.wire import Wire


class NewKey(Wire):
    id: str
    name: str
    scopes: list[KeyScope]
    customer: str | None
    key: str


class Key(Wire):
    id: str
    name: str
    scopes: list[KeyScope]
    customer: str | None
    created_at: datetime
    revoked_at: datetime | None
