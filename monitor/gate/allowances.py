"""What may still be sent while an address or domain warms up, as senders see it.

How many of an allowance are left is asked of the service (`POST /v1/allowances/grant`): a sender is sent only the cap and
whether anything is left at all, so that a grant somewhere is no news to everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many messages in a period to a scope in canonical form; the wire form is these fields.

    `exhausted`: nothing can be granted now. `pool`: where the mail may go instead.
    """

    id: str
    scope: Mapping[str, str]
    cap: int
    exhausted: bool
    pool: str | None
    resets_at: datetime
