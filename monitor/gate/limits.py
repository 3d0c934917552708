"""How much of what warms up may still be sent, and what that makes of a decision. Pure, standard library only.

Kept beside the restrictions, for it changes with every grant: the index is given new numbers without being built anew. An
allowance past the end of its period counts as unused, as a restriction past its end no longer counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from monitor.gate.allowances import Allowance
from monitor.gate.names import OTHER
from monitor.gate.restriction import DIMENSIONS, Reason, Restriction, Values
from monitor.gate.words import Decided, Effect, ReasonKind

WARMED_UP = ("ip", "domain")  # what an allowance is of, each with a provider
Key = tuple[str, str, str]  # one of these, its value, the provider
_PLACES = tuple((name, DIMENSIONS.index(name)) for name in WARMED_UP)
_PROVIDER = DIMENSIONS.index("provider")


@dataclass(frozen=True, slots=True)
class Left:
    """An allowance, and how many messages of it may still be granted. `reserved`: some are, and may come back at any time."""

    allowance: Allowance
    left: int
    reserved: bool = False

    def at(self, now: datetime) -> int:
        return self.allowance.cap if self.allowance.resets_at <= now else self.left


def key_of(scope: Mapping[str, str]) -> Key:
    """Of an allowance's scope."""
    name = next(each for each in WARMED_UP if each in scope)
    return name, scope[name], scope["provider"]


def keys_met(values: Values, allowances: Mapping[Key, Left], *, of_others: bool) -> tuple[tuple[Key, ...], tuple[Key, ...]]:
    """The allowances that meet a request; and those that would if it named their provider."""
    named = [(name, value) for name, place in _PLACES if (value := values[place]) is not None]
    provider = values[_PROVIDER]
    if provider is None:
        about = set(named)
        return (), tuple(key for key in allowances if key[:2] in about)
    providers = (provider, OTHER) if of_others else (provider,)
    keys = ((name, value, each) for name, value in named for each in providers)
    return tuple(key for key in keys if key in allowances), ()


def as_restriction(known: Left) -> Restriction:
    """What is used up, as the restriction it comes to."""
    row, reason = known.allowance, used_up(known.allowance)
    return Restriction(
        id=row.id, scope=row.scope, effect=Effect.HOLD, text=reason.text, until=row.resets_at, lifts_when=reason.lifts_when,
        kind=ReasonKind.ALLOWANCE,
    )  # fmt: skip


def used_up(row: Allowance) -> Reason:
    """Why mail waits of which nothing more may be sent in this period."""
    where = " at ".join(row.scope[name] for name in DIMENSIONS if name in row.scope)
    return Reason(
        kind=ReasonKind.ALLOWANCE, scope=dict(row.scope), effect=Decided.HOLD, rule=None, incident=None,
        text=f"{where} is warming up: all {row.cap:,} messages of this day are sent or reserved", until=row.resets_at,
        lifts_when="the next day begins there, or a grant comes back",
    )  # fmt: skip


def aside_of(row: Allowance) -> Reason:
    """The same where the request names no provider."""
    reason = used_up(row)
    return replace(reason, text=f"only to {row.scope['provider']}: {reason.text}")
