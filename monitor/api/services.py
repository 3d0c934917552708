"""What the API is given: everything it needs of the rest, and nothing it reaches for itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from collectors.observation import Batch
from monitor.api.follow import GateIndex
from monitor.config import Api
from monitor.store import Store, Taken


@dataclass(frozen=True, slots=True)
class Services:
    """`take` stores batches and has them judged; `collectors` says how often each enabled one runs."""

    store: Store
    gate: GateIndex
    now: Callable[[], datetime]
    take: Callable[[Sequence[Batch]], list[Taken]]
    settings: Api = field(default_factory=Api)
    collectors: Mapping[str, timedelta] = field(default_factory=dict)
