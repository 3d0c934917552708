"""The access tokens of the inventory's mailboxes (`auth: xoauth2`), kept from run to run.

Access tokens live in memory. A refresh token that the server gave in place of the configured one is a cursor of its
own: it holds as long as the configured one is the same, so that a person who consents anew is heeded at once.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from collectors.clients.oauth2 import AccessTokens, CommandTokens, Grant, RefreshedTokens
from monitor.facts import Store
from monitor.inventory.items import Mailbox

_COLLECTOR = "xoauth2"  # under which the cursors stand


@dataclass(frozen=True, slots=True)
class RotatedToken:
    """Where the newest refresh token of a grant is kept (collectors.clients.oauth2.Keeper)."""

    store: Store
    grant: Grant

    def load(self) -> str | None:
        kept = self.store.cursor(_COLLECTOR, self.grant.mailbox)
        return str(kept["refresh_token"]) if kept and kept.get("of") == self._of else None

    def save(self, refresh_token: str) -> None:
        value = {"of": self._of, "refresh_token": refresh_token}
        self.store.put_cursor(_COLLECTOR, self.grant.mailbox, value, datetime.now(UTC))

    @property
    def _of(self) -> str:
        """What was configured; only to be compared."""
        grant = self.grant
        return hashlib.sha256(repr((grant.url, grant.client_id, grant.refresh_token)).encode()).hexdigest()


class MailboxTokens:
    """By mailbox, as long as it is configured the same; any thread may ask."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Grant | CommandTokens, AccessTokens]] = {}

    def of(self, box: Mailbox, secret: Callable[[str], str]) -> AccessTokens:
        """Asks nobody yet. Raises what `secret` raises for a name it does not know."""
        way = _way(box, secret)
        with self._lock:
            known = self._known.get(box.name)
            if known is None or known[0] != way:
                fetch = way if isinstance(way, CommandTokens) else RefreshedTokens(way, RotatedToken(self._store, way))
                known = self._known[box.name] = (way, AccessTokens(fetch))
            return known[1]


def _way(box: Mailbox, secret: Callable[[str], str]) -> Grant | CommandTokens:
    if box.token_command:
        return CommandTokens(box.name, box.token_command)
    assert box.token_url is not None  # the inventory's own check has seen to these
    assert box.client_id is not None
    assert box.refresh_token is not None
    client_secret = secret(box.client_secret) if box.client_secret else None
    return Grant(box.name, box.token_url, box.client_id, secret(box.refresh_token), client_secret, box.scope)
