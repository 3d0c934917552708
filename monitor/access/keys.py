"""Who calls: API keys, made, checked, and kept in memory so that a decision needs no database.

A key reads `vigie_<id>_<secret>`: the id finds the row, the secret is 256 random bits of which only the
SHA-256 is kept, compared in constant time. A key may be bound to one customer; it then sees and acts on
that customer alone.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from collectors.cleaning import is_clean_name
from monitor.database.tables import ApiKey

_PREFIX = "vigie"
_MOST_RIGHT = 10_000


class KeyScope(enum.StrEnum):
    """What a key may do: ask the gate, bring facts, look, act, and (admin) all of it and the inventory."""

    GATE = "gate"
    EVENTS = "events"
    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds the key. `customer` None: all customers."""

    key_id: str
    name: str
    scopes: frozenset[str]
    customer: str | None = None

    def may(self, scope: KeyScope) -> bool:
        return scope in self.scopes or KeyScope.ADMIN in self.scopes


def make_key(name: str, scopes: Iterable[str], customer: str | None, now: datetime) -> tuple[ApiKey, str]:
    """A new row, and the key itself, which is known this once. Raises ValueError for an unknown scope or a bad name."""
    stated = set(scopes)
    wanted = [scope for scope in KeyScope if scope in stated] if stated <= set(KeyScope) else []
    if not wanted:
        raise ValueError(f"scopes are some of {', '.join(KeyScope)}")
    if not name or not is_clean_name(name):
        raise ValueError("a key's name is text in one line, without control characters")
    if customer is not None and not customer.strip():
        raise ValueError("customer: empty; leave it out for a key of the whole platform")
    if customer is not None and KeyScope.ADMIN in wanted:
        raise ValueError("a key bound to one customer cannot be admin: the inventory is everybody's")
    key_id, secret = secrets.token_hex(5), secrets.token_hex(32)
    row = ApiKey(id=key_id, name=name, sha256=_digest(secret), scopes=[scope.value for scope in wanted], customer=customer, created_at=now)
    return row, f"{_PREFIX}_{key_id}_{secret}"


def all_keys(session: Session) -> list[ApiKey]:
    """Revoked ones too, the oldest first."""
    return list(session.exec(select(ApiKey).order_by(col(ApiKey.created_at))))


def revoke_key(session: Session, key_id: str, now: datetime) -> ApiKey:
    """End a key; doing it twice changes nothing. Raises LookupError for an unknown id."""
    row = session.get(ApiKey, key_id)
    if row is None:
        raise LookupError(f"no key {key_id}")
    row.revoked_at = min(row.revoked_at or now, now)
    session.add(row)
    return row


def rotate_key(session: Session, key_id: str, overlap: timedelta, now: datetime) -> tuple[ApiKey, str]:
    """A new key of the same name, scopes and customer; the old one ends after `overlap`, or before where it would anyway.

    Raises LookupError for an unknown id, ValueError for one that has ended.
    """
    old = session.get(ApiKey, key_id)
    if old is None:
        raise LookupError(f"no key {key_id}")
    if old.revoked_at is not None and old.revoked_at <= now:
        raise ValueError(f"key {key_id} has ended; make a new one")
    new, key = make_key(old.name, old.scopes, old.customer, now)
    old.revoked_at = min(old.revoked_at or now + overlap, now + overlap)
    session.add_all([old, new])
    return new, key


class KeyRing:
    """The keys that have not ended, by id. Replaced whole; safe to read from any thread.

    Keys that were right stand beside them as they are, for a digest on each call costs more than the decision it is for.
    Looking one up says no more than that it is right: the table is keyed anew in each process (SipHash), so the time a
    look-up takes does not depend on how much of a guess was right.
    """

    def __init__(self) -> None:
        self._held: tuple[Mapping[str, tuple[str, Caller]], dict[str, Caller]] = ({}, {})

    def hold(self, rows: Iterable[ApiKey], now: datetime) -> None:
        keys = {
            row.id: (row.sha256, Caller(row.id, row.name, frozenset(row.scopes), row.customer))
            for row in rows
            if row.revoked_at is None or row.revoked_at > now
        }
        if keys != self._held[0]:
            self._held = (keys, {})

    def holds(self, caller: Caller) -> bool:
        """Whether the key of somebody who is being answered still is what it was."""
        return self._held[0].get(caller.key_id, ("", None))[1] == caller

    def caller(self, key: str) -> Caller | None:
        """Whose key this is; None when it is nobody's."""
        keys, right = self._held
        caller = right.get(key)
        if caller is None:
            caller = _holder(keys, key)
            if caller is not None and len(right) < _MOST_RIGHT:
                right[key] = caller
        return caller


def _holder(keys: Mapping[str, tuple[str, Caller]], key: str) -> Caller | None:
    prefix, _, rest = key.partition("_")
    key_id, _, secret = rest.partition("_")
    digest, caller = keys.get(key_id, ("", None))
    matches = hmac.compare_digest(digest, _digest(secret))
    return caller if matches and prefix == _PREFIX else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
