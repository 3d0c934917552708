"""Keeps what the hot path knows in step with the database: restrictions in force, inventory, keys.

The id of the newest transition of a restriction is the version; one look at the newest of all says whether anything
changed, for transitions are committed in the order of their ids (monitor.facts.following). The ids in force are compared every few seconds as well, should somebody
have changed the table by hand. The new index is built aside and swapped in whole, so that a decision sees the old one or the new one and never a mixture.
When the database does not answer, the last index goes on deciding (and says that it is old).
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlmodel import Session

from collectors.providers import ProviderTable, shipped
from monitor.access.keys import KeyRing, all_keys
from monitor.database.tables import Suspension
from monitor.facts import Store
from monitor.facts.following import newest_transition
from monitor.gate import Effect, Index, Providers, Restriction, build_index
from monitor.inventory.known import KnownNames, read_names
from monitor.inventory.names import canonical
from monitor.inventory.owners import Owners, read_owners
from monitor.inventory.providers import read_providers
from monitor.inventory.rows import pools_of_addresses, stream_kinds
from monitor.restrictions.rows import ids_in_force, in_force, newest_restriction

EVERY_SECONDS = 0.25
COMPARED_EVERY = timedelta(seconds=5)  # the inventory (its changes leave no transition) and the ids in force
_log = logging.getLogger(__name__)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class GateIndex:
    """The index in force, the keys, whose what is, which names and providers are known; `refresh` follows the database, any thread may read.

    `decided`: how many decisions this process gave of each kind.
    """

    def __init__(self) -> None:
        self.keys = KeyRing()
        self.owners = Owners()
        self.names = KnownNames()
        self.providers = shipped()
        self.decided: Counter[str] = Counter()
        self._index = build_index((), version=0, built_at=_LONG_AGO)
        self._in_force: frozenset[str] = frozenset()
        self._read_to = 0
        self._compared_at = _LONG_AGO
        self._lock = threading.Lock()

    @property
    def index(self) -> Index:
        return self._index

    @property
    def ready(self) -> bool:
        """True once the database was read."""
        return self._index.built_at > _LONG_AGO

    def refresh(self, store: Store, now: datetime, *, everything: bool = False) -> Index:
        """Read what changed; with `everything`, also what is otherwise compared every few seconds only."""
        with self._lock, store.reading_session() as session:
            self.keys.hold(all_keys(session), now)
            known = self._index
            newest = newest_transition(session)
            version = known.version if newest == self._read_to else newest_restriction(session, known.version)
            self._read_to = newest
            due = everything or now - self._compared_at >= COMPARED_EVERY
            if due:
                self.providers = read_providers(session)
            inventory = _inventory(session, self.providers) if due else _Inventory(known.pools, known.kinds, known.providers)
            changed = version != known.version or known.next_end <= now or not self.ready
            if changed or (due and self._differs(session, now, inventory)):
                rows = in_force(session, now)
                self._in_force = frozenset(row.id for row in rows)
                restrictions = filter(None, (_restriction(row, inventory.providers) for row in rows))
                self._index = build_index(restrictions, version=version, built_at=now, **inventory._asdict())
            else:
                self._index = replace(known, built_at=now)
            if due:
                self.owners = read_owners(session)
                self.names = read_names(session)
                self._compared_at = now
        return self._index

    def _differs(self, session: Session, now: datetime, inventory: _Inventory) -> bool:
        known = self._index
        return inventory != (known.pools, known.kinds, known.providers) or ids_in_force(session, now) != self._in_force

    def refresh_keys(self, store: Store) -> None:
        """Read the keys alone: somebody came with one that is not known (yet)."""
        with store.reading_session() as session:
            self.keys.hold(all_keys(session), self._index.built_at)


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


class _Inventory(NamedTuple):
    """What of the inventory decisions need."""

    pools: Mapping[str, str]  # address → pool
    kinds: Mapping[tuple[str, str], str]  # (customer, stream) → kind
    providers: Providers


def _inventory(session: Session, providers: ProviderTable) -> _Inventory:
    pools = {address: pool for address, pool in pools_of_addresses(session).items() if pool}
    return _Inventory(pools, stream_kinds(session), _of_gate(providers))


def _of_gate(table: ProviderTable) -> Providers:
    # here a name with a dot stands for itself too, to the gate only for what is below it
    domains = {name.removeprefix("."): provider for name, provider in table.domains.items() if name.startswith(".")}
    return Providers({**domains, **table.domains}, {**table.names, **{name: name for name in table.rows if "." in name}})


def _restriction(row: Suspension, providers: Providers) -> Restriction | None:
    try:
        scope = {name: canonical(name, value) for name, value in row.scope.items()}
        if "provider" in scope:
            scope["provider"] = providers.canonical(scope["provider"])
        return Restriction(
            id=row.id,
            scope=scope,
            effect=Effect(row.effect),
            text=row.text,
            rate_per_hour=row.rate_per_hour,
            probe=row.probe,
            rule=row.rule,
            incident=row.incident_id,
            until=row.until,
            lifts_when=row.lifts_when,
        )
    except ValueError as error:
        # one row nobody understands must not take the others out of force
        _log.error("a suspension is not in force: %s", error)
        return None
