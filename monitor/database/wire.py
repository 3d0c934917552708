"""How a change of state is printed, whatever feature it is of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from monitor.database.transitions import TransitionKind
from monitor.wire import Wire


class Transition(Wire):
    """What changed from old to new, when, why and by whom. `of`: the id of what changed; of a listing `target@dnsbl`."""

    id: int
    at: datetime
    kind: TransitionKind
    of: str
    old: str
    new: str
    why: str
    actor: str
    rule: str | None
    evidence: dict[str, Any]


class Erased(Wire):
    """What `vigie erase` changed: rows by table, and how many suppressions in force were kept."""

    rows: dict[str, int]
    suppressions_kept: int
