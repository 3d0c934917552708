"""Which incident followed from which: complaints, then a listing, then blocks. Pure; over what fired lately, its scopes and times.

A link is kept where what is usual happened in the usual order to the same customer, addresses or provider. It says what is likely, and
by what; that the one made the other is for a person to find. An address is taken for a customer's only where the inventory gives it to that
customer alone, or the list's evidence names it: of a shared pool nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

_MOST_CAUSES = 5  # of one incident, the latest
_Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One usual step: `signals` of the cause and of what follows, `alike`: what they must share, `within`: how soon."""

    causes: frozenset[str]
    effects: frozenset[str]
    alike: str
    within: timedelta


_BAD_MAIL = frozenset({"complaints", "invalid_addresses"})
_REFUSED = frozenset({"blocks", "deferrals"})
STEPS = (
    Step(frozenset({"invalid_addresses"}), frozenset({"complaints"}), "stream", timedelta(days=7)),
    Step(_BAD_MAIL, frozenset({"listings"}), "customer", timedelta(days=14)),
    Step(frozenset({"listings"}), _REFUSED, "target", timedelta(days=7)),
    Step(frozenset({"listings"}), _REFUSED, "pool", timedelta(days=7)),
    Step(frozenset({"complaints"}), _REFUSED, "customer and provider", timedelta(days=7)),
)
LONGEST = max(step.within for step in STEPS)
CAUSES = frozenset[str]().union(*(step.causes for step in STEPS))
EFFECTS = frozenset[str]().union(*(step.effects for step in STEPS))


@dataclass(frozen=True, slots=True)
class Happened:
    """An incident that fired. `customers`: whose it is as far as is known; `targets`: addresses and domains of ours it is about."""

    id: str
    rule: str
    signal: str
    subject: Mapping[str, str]
    fired_at: datetime
    customers: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()

    def keys(self, alike: str) -> Iterator[_Key]:
        """What it can share with another."""
        if alike == "target":
            yield from ((each,) for each in self.targets)
        elif alike == "customer":
            yield from ((each,) for each in self.customers)
        elif alike == "customer and provider" and "provider" in self.subject:
            yield from ((each, self.subject["provider"]) for each in self.customers)
        elif alike == "stream" and {"customer", "stream"} <= self.subject.keys():
            yield self.subject["customer"], self.subject["stream"]
        elif alike == "pool" and "pool" in self.subject:
            yield (self.subject["pool"],)


@dataclass(frozen=True, slots=True)
class Link:
    """`effect` followed from `cause`, both ids of incidents."""

    cause: str
    effect: str
    why: str
    evidence: Mapping[str, Any]


def links(causes: Iterable[Happened], effects: Sequence[Happened]) -> list[Link]:
    """For each that followed what it may have followed from, the latest first, at most five; never itself, never what came later."""
    known = list(causes)
    candidates: dict[tuple[str, str], tuple[timedelta, Link]] = {}
    for step in STEPS:
        by_key: dict[_Key, list[Happened]] = {}
        for cause in known:
            if cause.signal in step.causes:
                for key in cause.keys(step.alike):
                    by_key.setdefault(key, []).append(cause)
        for effect in effects:
            for key in effect.keys(step.alike) if effect.signal in step.effects else ():
                for cause in by_key.get(key, ()):
                    before = effect.fired_at - cause.fired_at
                    if cause.id != effect.id and timedelta(0) <= before <= step.within:
                        candidates.setdefault((cause.id, effect.id), (before, _link(cause, effect, step.alike, key)))
    made: list[Link] = []
    for effect in effects:
        mine = sorted((pair for pair in candidates.values() if pair[1].effect == effect.id), key=lambda pair: (pair[0], pair[1].cause))
        made += [link for _, link in mine[:_MOST_CAUSES]]
    return made


def _link(cause: Happened, effect: Happened, alike: str, key: _Key) -> Link:
    before = effect.fired_at - cause.fired_at
    hours = before.total_seconds() / 3600
    span = f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} hours" if hours >= 2 else f"{hours * 60:.0f} minutes"
    return Link(cause.id, effect.id, f"{cause.rule} fired {span} before, of the same {alike}: {', '.join(key)}", {
        "alike": alike, "value": list(key), "seconds_before": before.total_seconds(), "cause_rule": cause.rule, "effect_rule": effect.rule,
    })
