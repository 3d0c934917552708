"""Allowances as the gate knows them, followed while senders reserve and give back. Holds what it read; not for several threads.

The number of changes says whether anything changed, `changed_at` what; that two machines' clocks differ is met by looking back a
little, and by reading all every few seconds. A grant that expires and a day that begins change what is left without a row being written: their time is
known beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlmodel import Session, col, func, select

from monitor.database.tables import AllowancePart, WarmUp
from monitor.gate.allowances import Allowance
from monitor.gate.limits import Key, Left, key_of
from monitor.warmup.rows import GRACE, Opened, allowance_of, changed_since, changes, opened, warming_up
from monitor.warmup.standing import Standing

_LOOK_BACK = timedelta(seconds=5)
_NEVER = datetime.max.replace(tzinfo=UTC)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Followed:
    """`limits` is given to the index, `shown` to senders: another object whenever anything in it is another."""

    def __init__(self) -> None:
        self.limits: dict[Key, Left] = {}
        self.shown: tuple[Allowance, ...] = ()
        self._rows: dict[str, WarmUp] = {}
        self._changed_at, self._seen = _LONG_AGO, (0, 0)
        self._next_at = _NEVER  # when something changes by itself

    def refresh(self, session: Session, now: datetime, *, everything: bool) -> None:
        """Read what changed, or all."""
        seen = changes(session)
        if seen == self._seen and not everything and now < self._next_at:
            return
        if seen != self._seen or everything:
            self._read(session, everything=everything or seen[0] != self._seen[0])
            self._seen = seen
        self._count(session, now)

    def _read(self, session: Session, *, everything: bool) -> None:
        if everything:
            self._rows = {row.id: row for row in warming_up(session)}
            self._changed_at = max((row.changed_at for row in self._rows.values()), default=_LONG_AGO)
        for row in () if everything else changed_since(session, max(self._changed_at - _LOOK_BACK, _LONG_AGO)):
            if row.stopped_at is None and row.standing != Standing.WARM:
                self._rows[row.id] = row
            else:
                self._rows.pop(row.id, None)
            self._changed_at = max(self._changed_at, row.changed_at)

    def _count(self, session: Session, now: datetime) -> None:
        reserved = opened(session, now) if self._rows else {}
        limits = dict(_limits(self._rows.values(), reserved, now))
        if limits != self.limits:
            self.limits = limits
        shown = tuple(sorted((each.allowance for each in limits.values()), key=lambda row: row.id))
        if shown != self.shown:
            self.shown = shown
        expires = col(AllowancePart.expires_at)
        first = session.exec(select(func.min(expires)).where(col(AllowancePart.used).is_(None), expires > now - GRACE)).one()
        ends = [row.resets_at for row in shown]
        self._next_at = min([*ends, *([first + GRACE] if first is not None else [])], default=_NEVER)


def _limits(rows: Iterable[WarmUp], reserved: Opened, now: datetime) -> Iterable[tuple[Key, Left]]:
    for row in rows:
        known = allowance_of(row, reserved, now)
        if known.cap is not None and known.left is not None:
            scope = known.scope
            allowance = Allowance(row.id, scope, known.cap, known.left == 0, known.pool, known.resets_at)
            yield key_of(scope), Left(allowance, known.left, reserved=known.granted > 0)
