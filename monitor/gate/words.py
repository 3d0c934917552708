"""The closed words of the gate, as they stand on the wire."""

from __future__ import annotations

import enum


class Effect(enum.StrEnum):
    """What a restriction does to the mail it is about."""

    HOLD = "hold"
    SLOW = "slow"


class Decided(enum.StrEnum):
    """What a sender is answered."""

    SEND = "send"
    SLOW = "slow"
    HOLD = "hold"


class ReasonKind(enum.StrEnum):
    """What limits the mail; `stale`: nothing does, but what is known is old."""

    SUSPENSION = "suspension"
    STANDING = "standing"
    ALLOWANCE = "allowance"
    COMPLIANCE = "compliance"
    SUPPRESSION = "suppression"
    STALE = "stale"


class StreamKind(enum.StrEnum):
    """The class of a stream's mail."""

    TRANSACTIONAL = "transactional"
    MARKETING = "marketing"
