"""Which restrictions changed since a version, and why those that are gone went.

A version is the id of a transition, and transitions are committed in the order of their ids (monitor.facts.following); so
"all above the version I know" misses nothing, whichever transaction began first. The newest changes are kept in memory, also
those from before this process started, so that a sender that was cut off is caught up without asking the database.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlmodel import Session

from monitor.database.transitions import TransitionKind, changes_after, newest_changes
from monitor.restrictions.suspensions import LIFTED

KEPT = 5_000  # changes; whoever missed more is sent everything anew
KINDS = (TransitionKind.SUSPENSION,)  # those whose `of` is the id of a restriction
EXPIRY = "expiry"  # the actor of a transition that only writes down that the time was over


class Why(enum.StrEnum):
    """Why a restriction is in force no longer; `gone` is neither of the others: a row nobody understands, or not one's own."""

    LIFTED = "lifted"
    EXPIRED = "expired"
    GONE = "gone"


class Change(NamedTuple):
    """One change of a restriction. `why`: where it ended by it."""

    version: int
    of: str
    why: Why | None
    scope: Mapping[str, str]


class ChangeLog:
    """The newest changes, the oldest first. Not safe for several threads at once: the gate's lock guards it."""

    def __init__(self) -> None:
        self._changes: deque[Change] = deque()
        self._complete_after = 0  # every change above this version is here

    def begin(self, session: Session, version: int) -> None:
        """Read the newest changes up to a version: what happened before this process started."""
        rows = [_change(*row) for row in newest_changes(session, KINDS, version, KEPT)]
        self._changes.extend(rows)
        self._complete_after = rows[0].version - 1 if len(rows) == KEPT else 0

    def read(self, session: Session, after: int) -> list[Change]:
        """The changes above a version, kept from here on."""
        rows = [_change(*row) for row in changes_after(session, KINDS, after)]
        self._changes.extend(rows)
        while len(self._changes) > KEPT:
            self._complete_after = self._changes.popleft().version
        return rows

    def since(self, version: int) -> dict[str, Change] | None:
        """The last change of each restriction that changed after a version; None where that is too long ago."""
        if version < self._complete_after:
            return None
        return {change.of: change for change in self._changes if change.version > version}


def _change(version: int, of: str, new: str, actor: str, evidence: Mapping[str, Any]) -> Change:
    why = None if new != LIFTED else Why.EXPIRED if actor == EXPIRY else Why.LIFTED
    scope = evidence.get("scope")
    return Change(version, of, why, scope if isinstance(scope, dict) else {})
