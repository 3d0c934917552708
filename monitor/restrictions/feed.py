"""What senders that follow the gate are sent: all of it once, then what changes (contract "The gate towards senders").

One `View` for each customer a key may be bound to, and one for keys of all customers: what is in it, and the newest changes as
the events that are sent, made once for all who follow. A place in the feed (`Last-Event-ID`) says what its reader has: the
version of the restrictions, and digests of the rest. Both follow from the database alone, so that a place is good at every
process of the same one. Whoever comes back is sent what changed since its version; where the rest cannot be compared by its
digest (the inventory changed meanwhile), everything.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from monitor.gate import Restriction
from monitor.gate.allowances import Allowance
from monitor.inventory.owners import Owners
from monitor.restrictions.change_log import ChangeLog, Why
from monitor.restrictions.feed_json import allowances_json, as_json, inventory_json, restriction_json
from monitor.restrictions.read import GateInventory

FORMAT = 1
MOST_EVENT_BYTES = 8 * 1024 * 1024  # of changes kept for those that are behind; whoever is further behind begins anew
_MOST_IDLE = 200
_PLACE = re.compile(r"1\.([0-9a-f]{24})\.([0-9a-f]{12})\.([0-9]{1,18})")
_INVENTORY_PARTS = ("pools", "providers", "streams")


class Content(NamedTuple):
    """All that senders may be sent, as of one moment."""

    version: int
    restrictions: Mapping[str, Restriction]
    inventory: GateInventory
    owners: Owners
    owners_mark: str  # another where the owners are others
    at: datetime
    allowances: tuple[Allowance, ...] = ()


class Event(NamedTuple):
    """A change as it is sent; `number` counts those of one view."""

    number: int
    data: bytes
    place: str


@dataclass(slots=True)
class Snapshot:
    """All that one view has, as `GET /v1/gate/snapshot` answers it. `packed`: the same as gzip, once somebody asked."""

    body: bytes
    etag: str
    version: int
    packed: bytes | None = None


class Standing(NamedTuple):
    """Where a view is: the number of its newest event, and the place a reader that has it is at."""

    number: int
    version: int
    place: str


@dataclass(slots=True)
class View:
    """What one customer's senders are sent (None: those of all). Changed under the feed's lock only."""

    customer: str | None
    database: str
    content: Content
    restrictions: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, bytes] = field(default_factory=dict)
    events: deque[Event] = field(default_factory=deque)
    number: int = 0
    followers: int = 0
    _bytes: int = 0
    _where: str = ""
    _allowed: str = ""
    _snapshots: dict[datetime | None, Snapshot] = field(default_factory=dict)

    def fill(self, content: Content, encoded: Callable[[Restriction], bytes]) -> None:
        """Begin anew from all there is."""
        self.content = content
        self.restrictions = {of: encoded(row) for of, row in content.restrictions.items() if self.may_see(row.scope)}
        self._fill_parts()

    def may_see(self, scope: Mapping[str, str]) -> bool:
        return self.customer is None or self.content.owners.foreign_to(self.customer, scope) is None

    @property
    def place(self) -> str:
        return f"{FORMAT}.{self._where}.{self._allowed}.{self.content.version}"

    @property
    def standing(self) -> Standing:
        return Standing(self.number, self.content.version, self.place)

    def change(self, content: Content, whys: Mapping[str, Why | None], encoded: Callable[[Restriction], bytes], changed: frozenset[str]) -> None:
        """Bring it in step and add the event that says so, if anything a reader of this view knows of changed.

        `changed`: the restrictions that are not as they were, unless owners changed too.
        """
        before, parts, anew = self.restrictions, self.parts, content.owners_mark != self.content.owners_mark
        same_parts = not anew and content.inventory is self.content.inventory and content.allowances == self.content.allowances
        if anew:
            self.fill(content, encoded)
            changed = frozenset(of for of in before.keys() | self.restrictions.keys() if before.get(of) != self.restrictions.get(of))
        else:
            self.content, self.restrictions = content, dict(before) if changed else before
            for of in changed:
                row = content.restrictions.get(of)
                if row is not None and self.may_see(row.scope):
                    self.restrictions[of] = encoded(row)
                else:
                    self.restrictions.pop(of, None)
            if not same_parts:
                self._fill_parts()
        self._snapshots.clear()
        removed = {of: whys.get(of) or Why.GONE for of in changed if of in before and of not in self.restrictions}
        changes = {name: part for name, part in self.parts.items() if part != parts[name]}
        stated = [of for of in changed if before.get(of) != self.restrictions.get(of) and of in self.restrictions]
        if stated or removed or changes:
            self._add(self.event(stated, removed, changes))

    def event(self, stated: list[str], removed: Mapping[str, Why], parts: Mapping[str, bytes]) -> bytes:
        """A `change` with these restrictions of the view, those that are gone, and these parts."""
        gone = [{"id": of, "why": why} for of, why in sorted(removed.items())]
        members = [b'"set":[%b]' % b",".join(self.restrictions[of] for of in sorted(stated)), b'"removed":' + as_json(gone)]
        members += [b'"%b":%b' % (name.encode(), part) for name, part in parts.items()]
        return b'{"version":%d,"at":%b,%b}' % (self.content.version, as_json(self.content.at), b",".join(members))

    def caught_up(self, place: str, changes: ChangeLog) -> bytes | None:
        """The `change` that brings a reader from a place to here, empty where nothing changed; None where that cannot be said."""
        match = _PLACE.fullmatch(place)
        if match is None or match[1] != self._where or int(match[3]) > self.content.version:
            return None
        known = changes.since(int(match[3]))
        if known is None:
            return None
        removed = {of: each.why or Why.GONE for of, each in known.items() if of not in self.restrictions and self.may_see(each.scope)}
        stated = [of for of in known if of in self.restrictions]
        parts = {} if match[2] == self._allowed else {"allowances": self.parts["allowances"]}
        return self.event(stated, removed, parts) if stated or removed or parts else b""

    def after(self, number: int) -> list[Event] | None:
        """The events after this one; None where the first of them is no longer kept."""
        if number == self.number:
            return []
        if not self.events or self.events[0].number > number + 1:
            return None
        return [event for event in self.events if event.number > number]

    def snapshot(self, stale_since: datetime | None) -> Snapshot:
        snapshot = self._snapshots.get(stale_since)
        if snapshot is None:
            rows = b",".join(self.restrictions[of] for of in sorted(self.restrictions))
            parts = b",".join(b'"%b":%b' % (name.encode(), self.parts[name]) for name in sorted(self.parts))
            body = b'{"format":%d,"version":%d,"stale_since":%b,"restrictions":[%b],%b}' % (
                FORMAT, self.content.version, as_json(stale_since), rows, parts
            )
            # the version stands before the digest, so that whoever asks with it shows how much it has
            etag = f'"{self.content.version}.{hashlib.sha256(body).hexdigest()[:32]}"'
            self._snapshots = {stale_since: (snapshot := Snapshot(body, etag, self.content.version))}
        return snapshot

    def _add(self, data: bytes) -> None:
        self.number += 1
        self.events.append(Event(self.number, data, self.place))
        self._bytes += len(data)
        while self._bytes > MOST_EVENT_BYTES:
            self._bytes -= len(self.events.popleft().data)

    def _fill_parts(self) -> None:
        self.parts = inventory_json(self.content.inventory, self.content.owners, self.customer)
        self.parts["allowances"] = allowances_json(each for each in self.content.allowances if self.may_see(each.scope))
        digest = hashlib.sha256(as_json([self.database, self.customer, self.content.owners_mark]))
        for name in _INVENTORY_PARTS:
            digest.update(hashlib.sha256(self.parts[name]).digest())
        self._where = digest.hexdigest()[:24]
        self._allowed = hashlib.sha256(self.parts["allowances"]).hexdigest()[:12]


class Feed:
    """The views that somebody follows, kept in step by `publish`. Any thread may call it."""

    def __init__(self, changes: ChangeLog) -> None:
        self.database = ""  # what sets the places of one database apart from those of another
        self._changes = changes
        self._views: dict[str | None, View] = {}  # that somebody follows
        self._idle: dict[str | None, View] = {}  # that somebody asked for since the last change
        self.content: Content | None = None  # None: nothing was read yet
        self._encoded: dict[str, tuple[Restriction, bytes]] = {}
        self._listeners: list[Callable[[], None]] = []
        self._lock = threading.RLock()

    def publish(self, content: Content, whys: Mapping[str, Why | None]) -> None:
        """What is so now; `whys`: of the restrictions that changed by a transition, why they ended if they did."""
        with self._lock:
            before, self.content = self.content, content
            self._idle.clear()
            if before is None:
                return
            changed = _changed(before.restrictions, content.restrictions)
            ended = {of: Why.EXPIRED for of in changed if _over(before.restrictions.get(of), content.at) and of not in content.restrictions}
            for of in changed:
                self._encoded.pop(of, None)
            for view in list(self._views.values()):
                view.change(content, {**ended, **whys}, self._json, changed)

    def follow(self, customer: str | None, place: str | None) -> tuple[View, Standing, bytes | None]:
        """Begin to follow: the view, where it is, and the change that brings a reader from `place` there (None: it needs all).

        `leave` when the reader is gone.
        """
        with self._lock:
            view = self._views[customer] = self._view(customer)
            view.followers += 1
            return view, view.standing, view.caught_up(place, self._changes) if place else None

    def is_behind(self, place: str) -> bool:
        """Whether a reader that has this place knows of changes that are not known here."""
        match = _PLACE.fullmatch(place)
        return match is not None and self.content is not None and int(match[3]) > self.content.version

    def leave(self, view: View) -> None:
        with self._lock:
            view.followers -= 1
            if view.followers == 0:
                del self._views[view.customer]
                self._idle.pop(view.customer, None)

    def snapshot(self, customer: str | None, stale_since: datetime | None) -> tuple[Snapshot, Standing]:
        with self._lock:
            view = self._view(customer)
            return view.snapshot(stale_since), view.standing

    def after(self, view: View, number: int) -> list[Event] | None:
        with self._lock:
            return view.after(number)

    @property
    def followed(self) -> tuple[View, ...]:
        """The views that somebody follows."""
        return tuple(self._views.values())

    def listen(self, listener: Callable[[], None]) -> None:
        """`listener` is called after each look at the database, in whichever thread looked."""
        self._listeners.append(listener)

    def wake(self) -> None:
        for listener in self._listeners:
            listener()

    def _view(self, customer: str | None) -> View:
        assert self.content is not None, "nothing was read yet"
        view = self._views.get(customer) or self._idle.get(customer)
        if view is None:
            view = View(customer, self.database, self.content)
            view.fill(self.content, self._json)
            if len(self._idle) < _MOST_IDLE:
                self._idle[customer] = view
        return view

    def _json(self, row: Restriction) -> bytes:
        known = self._encoded.get(row.id)
        if known is None or known[0] is not row:
            known = self._encoded[row.id] = row, restriction_json(row)
        return known[1]


def _changed(before: Mapping[str, Restriction], now: Mapping[str, Restriction]) -> frozenset[str]:
    if before is now:
        return frozenset()
    return frozenset(of for of, row in now.items() if before.get(of) is not row) | (before.keys() - now.keys())


def _over(row: Restriction | None, now: datetime) -> bool:
    return row is not None and row.until is not None and row.until <= now
