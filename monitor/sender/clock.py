"""What time is it, when this machine's clock may be wrong or be moved?

Restrictions end at instants of the service's clock. From the start on time is counted by the monotonic clock, so that
moving this machine's clock ends nothing early; and where the service's own instants go on as time does, they are taken.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

_APART = 0.5  # seconds between two instants of the service that are compared
_AGREES = 1.0  # and by how many the time between them may differ from ours


class Clock:
    """Now, in UTC. Any thread may ask."""

    def __init__(self, not_before: datetime | None = None) -> None:
        """`not_before`: what was now once before, as this sender last wrote it down."""
        began = time.time()
        if not_before is not None:
            began = max(began, not_before.timestamp())
        self._ahead = began - time.monotonic()  # of the monotonic clock
        self._heard: tuple[float, float] | None = None

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.monotonic() + self._ahead, UTC)

    def heard(self, at: datetime) -> None:
        """The service says it is `at`; believed where its clock goes as ours does since it last said so."""
        instant, here = at.timestamp(), time.monotonic()
        if self._heard is None:
            self._heard = instant, here
            return
        passed = here - self._heard[1]
        if passed < _APART:
            return
        if abs(instant - self._heard[0] - passed) <= _AGREES:
            self._ahead = instant - here
        self._heard = instant, here
