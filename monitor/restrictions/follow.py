"""Keeps what the hot path knows in step with the database: restrictions in force, inventory, keys.

The id of the newest transition of a restriction is the version. One small question, ten times a second, says whether
anything changed, for transitions are committed in the order of their ids (monitor.facts.following) and every change of the
inventory leaves a mark; then the rows that changed are read. All is compared every few seconds as well, should somebody
have changed a table by hand. The new index is built aside and swapped in whole, so that a decision sees the old one or the
new one and never a mixture; `feed` is what senders are sent of it.
When the database does not answer, the last index goes on deciding (and says that it is old).
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from collectors.providers import shipped
from monitor.access.keys import KeyRing, all_keys
from monitor.database.tables import Suspension
from monitor.facts import Store
from monitor.gate import Index, Restriction, build_index
from monitor.gate.allowances import Allowance
from monitor.inventory.known import KnownNames, read_names
from monitor.inventory.owners import Owners, read_owners
from monitor.inventory.providers import read_providers
from monitor.inventory.rows import INVENTORY_MARK
from monitor.restrictions.change_log import ChangeLog, Why
from monitor.restrictions.feed import Content, Feed
from monitor.restrictions.read import GateInventory, read_gate_inventory, restrictions_of
from monitor.restrictions.rows import ids_in_force, in_force, is_in_force, newest_restriction
from monitor.warmup.following import Followed

EVERY_SECONDS = 0.1
COMPARED_EVERY = timedelta(seconds=5)  # everything
KEYS_EVERY = timedelta(seconds=1)  # one may be revoked for an instant to come
AWAY_AFTER_SECONDS = 10.0  # a database that neither answers nor refuses for so long is away
_MOST_READ = 200  # changed rows that are read by id; of more, all in force are
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_LOOK = text(
    "SELECT (SELECT max(id) FROM transition), (SELECT count(*) FROM api_key), (SELECT count(revoked_at) FROM api_key), "
    "(SELECT value FROM setting WHERE name = :mark)"
)
_log = logging.getLogger(__name__)


class GateIndex:
    """The index in force, the keys, whose what is, which names and providers are known; `refresh` follows the database, any thread may read.

    `decided`: how many decisions this process gave of each kind. `feed`: what senders that follow are sent.
    """

    def __init__(self) -> None:
        self.keys = KeyRing()
        self.owners = Owners()
        self.names = KnownNames()
        self.providers = shipped()
        self.decided: Counter[str] = Counter()
        self.changes = ChangeLog()
        self.feed = Feed(self.changes)
        self._index = build_index((), version=0, built_at=_LONG_AGO)
        self._restrictions: dict[str, Restriction] = {}
        self._inventory = GateInventory({}, {}, self._index.providers)
        self._strange: frozenset[str] = frozenset()  # ids in force of rows that nobody understands
        self._allowances = Followed()
        self._seen: Any = None
        self._owners_mark = ""
        self._content: Content | None = None
        self._compared_at = self._keys_at = _LONG_AGO
        self._answered = time.monotonic()
        self._failing = False
        self._lock = threading.Lock()

    @property
    def index(self) -> Index:
        return self._index

    @property
    def allowances(self) -> tuple[Allowance, ...]:
        """What warms up and how much of it may be sent, as senders see it: another object whenever anything in it is another."""
        return self._allowances.shown

    @property
    def ready(self) -> bool:
        """True once the database was read."""
        return self._index.built_at > _LONG_AGO

    @property
    def stale_since(self) -> datetime | None:
        """Since when the database has not answered; None while it does."""
        silent = time.monotonic() - self._answered > AWAY_AFTER_SECONDS
        return self._index.built_at if self._failing or silent else None

    def refresh(self, store: Store, now: datetime, *, everything: bool = False) -> Index:
        """Read what changed; with `everything`, also what is otherwise compared every few seconds only.

        All that was committed before the call is known when it returns.
        """
        with self._lock:
            before = self._seen, self._content, self._failing
            try:
                if not self.feed.database:
                    self.feed.database = store.recipients.derived("gate feed").hex()[:16]
                with store.reading_session() as session:
                    self._refresh(session, now, everything=everything)
            except Exception:
                self._failing = True
                raise
            finally:
                if before != (self._seen, self._content, self._failing):
                    self.feed.wake()
        return self._index

    def refresh_keys(self, store: Store) -> None:
        """Read the keys alone: somebody came with one that is not known (yet)."""
        with store.reading_session() as session:
            self.keys.hold(all_keys(session), self._index.built_at)

    def _refresh(self, session: Session, now: datetime, *, everything: bool) -> None:
        seen = session.connection().execute(_LOOK, {"mark": INVENTORY_MARK}).one()
        due = everything or now - self._compared_at >= COMPARED_EVERY
        if seen != self._seen or due or now - self._keys_at >= KEYS_EVERY:
            self.keys.hold(all_keys(session), now)
            self._keys_at = now
        known, allowances = self._index, self._allowances
        allowances.refresh(session, now, everything=due)
        same = seen == self._seen and not due and known.next_end > now
        if same and self._content is not None and self._content.allowances is allowances.shown:
            self._index = self._confirmed(now)
        else:
            everything = due or self._seen is None or seen[3] != self._seen[3]
            self._read(session, now, everything=everything)
        self._seen, self._failing, self._answered = seen, False, time.monotonic()

    def _read(self, session: Session, now: datetime, *, everything: bool) -> None:
        if not self.ready:
            version = newest_restriction(session)
            self.changes.begin(session, version)
            whys: Mapping[str, Why | None] = {}
        else:
            changes = self.changes.read(session, self._index.version)
            version = changes[-1].version if changes else self._index.version
            whys = {change.of: change.why for change in changes}
        inventory = self._inventory
        if everything:
            self.providers = read_providers(session)
            inventory = read_gate_inventory(session, self.providers)
            self.owners, self.names = read_owners(session), read_names(session)
            self._owners_mark = _mark_of(self.owners)
            self._compared_at = now
        if inventory == self._inventory:
            inventory = self._inventory  # the same objects: what was made of them holds
        restrictions = self._in_force(session, now, whys, inventory, everything=everything)
        restrictions = {of: row for of, row in restrictions.items() if row.until is None or row.until > now}
        same = (version, restrictions, inventory) == (self._index.version, self._restrictions, self._inventory)
        limits, shown, known = self._allowances.limits, self._allowances.shown, self._content
        if same and self.ready:
            self._index = self._confirmed(now)
        else:
            rows = sorted(restrictions.values(), key=lambda row: row.id)
            self._index = build_index(rows, version=version, built_at=now, allowances=limits, **inventory._asdict())
        if not same or known is None or (self._owners_mark, shown) != (known.owners_mark, known.allowances):
            self._content = Content(version, restrictions, inventory, self.owners, self._owners_mark, now, shown)
            self.feed.publish(self._content, whys)
        self._restrictions, self._inventory = restrictions, inventory

    def _confirmed(self, now: datetime) -> Index:
        """The same index, known to hold now, with what is left of allowances now."""
        known, limits = self._index, self._allowances.limits
        if known.allowances is not limits and known.allowances.keys() != limits.keys():
            known = replace(known, remembered={}, unmet={})  # which of them meet a request is remembered too
        return replace(known, built_at=now, allowances=limits)

    def _in_force(
        self, session: Session, now: datetime, changed: Collection[str], inventory: GateInventory, *, everything: bool
    ) -> dict[str, Restriction]:
        """By id, the same objects where nothing changed."""
        known = self._restrictions
        anew = inventory is not self._inventory or not self.ready or len(changed) > _MOST_READ
        if not anew and everything:
            anew = bool(changed) or ids_in_force(session, now) - self._strange != known.keys()
        if anew:
            stored = in_force(session, now)
            rows = restrictions_of(stored, inventory.providers)
            self._strange = frozenset(row.id for row in stored) - rows.keys()
        elif changed:
            chosen = session.exec(select(Suspension).where(col(Suspension.id).in_(changed)))
            kept = {of: row for of, row in known.items() if of not in changed}
            rows = kept | restrictions_of((row for row in chosen if is_in_force(row, now)), inventory.providers)
        else:
            return known
        return {of: known[of] if known.get(of) == row else row for of, row in rows.items()}


def _mark_of(owners: Owners) -> str:
    stated = [sorted(each.items()) for each in (owners.ips, owners.pools, owners.domains)]
    return hashlib.sha256(repr(stated).encode()).hexdigest()[:24]


def follow(gate: GateIndex, store: Store, clock: Callable[[], datetime], stop: threading.Event) -> None:
    """Refresh until `stop` is set; for a thread of its own."""
    failing = False
    while not stop.wait(EVERY_SECONDS):
        try:
            gate.refresh(store, clock())
        except Exception as error:  # noqa: BLE001 - a follower that ended would leave the gate behind for good
            if not failing:
                _log.warning("the gate goes on with what it knows: %s", error)
            failing = True
        else:
            failing = False
