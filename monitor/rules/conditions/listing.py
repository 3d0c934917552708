"""What our targets on block lists amount to, and how bad it is. Pure.

An unknown answer is kept with its interval by `monitor.listings.intervals`, so nothing here is raised or cleared by one.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from collectors.details import ListKind
from collectors.dimensions import Use, names
from monitor.config.severity import Severity, worst
from monitor.rules.conditions.value import grouped
from monitor.rules.evidence import Evidence, ListingFact, Place
from monitor.rules.lists import GRAVE, Phase, gravity
from monitor.rules.model import Rule, not_empty
from monitor.rules.numbers import Numbers, OnList, lists_of
from monitor.rules.signals import SignalName
from monitor.rules.texts import some
from monitor.rules.verdict import Answer, Group, Member, Verdict, in_common

if TYPE_CHECKING:  # a type checker takes no list it cannot read here
    ListingDimension = str
    AnySeverity = Severity | Literal["auto"]
else:
    ListingDimension = Literal[names(Use.LISTED)]
    AnySeverity = Literal[(*map(str, Severity), "auto")]  # one list of words in messages and schema

Lists = Annotated[tuple[str, ...], AfterValidator(not_empty)]  # ids of the catalogue


class Baseline(enum.StrEnum):
    """What is made of a target that was listed already when we first looked."""

    IGNORE = "ignore"
    NOTIFY = "notify"  # one incident per operator, and nothing is held for it
    HOLD = "hold"  # one incident per operator, and what the rule holds is held


def _baseline(value: object) -> object:
    """Yes and no, as the first release wrote it."""
    return {True: Baseline.HOLD, False: Baseline.IGNORE}[value] if isinstance(value, bool) else value


class Listing(Rule):
    """Fires while a target of ours is confirmed on one of the lists. One incident per group of `by`.

    `severity: auto` follows the worst listing: the weight of the list, how grave its code is, and whether a
    mailbox provider is known to act upon it. Lists that blame the neighbours are information, whatever it says. What
    was listed already when first seen is an incident per operator, and held only with `baseline: hold`. A list without
    a known operator is its own.
    """

    GONE: ClassVar[str] = "no longer listed"

    condition: Literal["listing"]
    signal: SignalName = Field(default="listings", validate_default=True)
    by: Annotated[tuple[ListingDimension, ...], AfterValidator(not_empty)] = ("operator", "pool")
    severity: AnySeverity = Severity.WARNING  # type: ignore[assignment]  # wider here
    lists: Lists | None = None  # None: every block list asked
    min_weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    below_weight: Annotated[float, Field(gt=0, le=1)] | None = None  # heavier lists are another rule's
    baseline: Annotated[Baseline, BeforeValidator(_baseline)] = Baseline.NOTIFY
    collateral: bool = False  # also lists that list the neighbours of the guilty, one incident per operator

    @model_validator(mode="after")
    def _hangs_together(self) -> Listing:
        if self.effect and self.effect.scope:
            raise ValueError("a listing holds the listed IP or domain itself: leave effect.scope out")
        if self.effect and self.collateral:
            raise ValueError("a rule with collateral only notifies, for the neighbours are to blame: leave effect out")
        if self.below_weight is not None and self.below_weight <= self.min_weight:
            raise ValueError("below_weight must be higher than min_weight")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTarget(OnList):
    """`baseline`: it was listed already when first seen; `text`: what the list says in TXT; `isps`: who acts upon the list."""

    STATED: ClassVar[frozenset[str]] = OnList.STATED | {"text", "delist_url"}
    codes: tuple[str, ...]
    meaning: str
    first_seen_at: datetime | None = None
    baseline: bool = False
    text: str | None = None
    delist_url: str | None = None
    sells_removal: bool = False
    isps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingNumbers(Numbers):
    """What of ours is listed."""

    listed: tuple[ListedTarget, ...]

    @property
    def rows(self) -> Sequence[OnList]:
        return self.listed

    def headline(self, targets: str) -> str | None:
        return f"{targets} on {lists_of(self.listed)}"


_CRITICAL = 0.6  # weight times gravity, from which a listing is that
_MOST_NAMED = 3
_MOST_PROVIDERS = 5


def judge(rule: Listing, evidence: Evidence, now: datetime) -> list[Verdict]:
    """One verdict per group that has an open interval on one of the rule's lists.

    A group is in breach while a member is confirmed; between while one is clearing or merely suspected; gone
    when none is left. A group all of whose open intervals cannot be asked any more is unknown, for that reason.
    """
    del now
    known = evidence.listings()
    counted = {(fact.target, fact.dnsbl) for fact in known}
    groups: dict[Group, list[ListingFact]] = {}
    for fact in known:
        # a list that is part of another one that says the same is not a second finding
        if _watched(rule, fact) and (fact.target, fact.known.included_in) not in counted:
            by = ("operator",) if fact.known.collateral or fact.baseline else rule.by
            groups.setdefault(grouped(by, fact.labels), []).append(fact)
    return [_listing_verdict(rule, group, members) for group, members in groups.items()]


def severity_of(fact: ListingFact) -> Severity:
    """How bad a listing is by itself: the weight of the list times the gravity of its code.

    Critical only where a mailbox provider is known to act upon the list; who blames the neighbours says little.
    """
    if fact.known.collateral or gravity(fact.answer) < GRAVE:
        return Severity.INFO
    return Severity.CRITICAL if gravity(fact.answer) >= _CRITICAL and fact.known.isps else Severity.WARNING


# ── block lists ──


def _watched(rule: Listing, fact: ListingFact) -> bool:
    if fact.baseline and rule.baseline is Baseline.IGNORE:
        return False
    if fact.known.kind is not ListKind.BLOCK or not fact.answer.finding:
        return False
    if fact.known.collateral and not rule.collateral:
        return False
    if not all(chosen.takes(fact.labels.get(name)) for name, chosen in rule.where.items()):
        return False
    if rule.lists is not None:
        return fact.dnsbl in rule.lists
    weight = fact.answer.weight
    return rule.min_weight <= weight and (rule.below_weight is None or weight < rule.below_weight)


def _listing_verdict(rule: Listing, group: Group, facts: Sequence[ListingFact]) -> Verdict:
    listed = [fact for fact in facts if fact.phase is Phase.LISTED]
    if not listed:
        waiting = [fact for fact in facts if fact.confirmed_at is not None] or list(facts)
        return Verdict(group, Answer.BETWEEN, f"{_named(waiting)}: waiting for confirmation", labels=_common(waiting))
    members = tuple(_listed_member(rule, fact) for fact in facts if fact.confirmed_at is not None)
    reasons = {fact.unknown_reason for fact in listed}
    reason = None if None in reasons else min(str(each) for each in reasons)
    return Verdict(
        group, Answer.UNKNOWN if reason else Answer.BREACH, _listed_summary(listed), reason, members,
        evidence=ListingNumbers(listed=tuple(map(_listed_target, listed))),
        severity=worst(member.severity or Severity.INFO for member in members), labels=_common(listed),
    )


def _listed_summary(facts: Sequence[ListingFact]) -> str:
    """`192.0.2.7 and 3 more listed on Spamhaus ZEN (SBL), acted upon by Gmail`, the gravest meaning first."""
    gravest = sorted(facts, key=lambda fact: -gravity(fact.answer))
    meanings = list(dict.fromkeys(map(_meaning, gravest)))
    providers = list(dict.fromkeys(each for fact in gravest for each in fact.known.isps))
    acted = f", acted upon by {some(providers, _MOST_PROVIDERS)}" if providers else ""
    lists = ", ".join(sorted({_list_name(fact) for fact in facts}))
    before = ", already when first seen" if all(fact.baseline for fact in facts) else ""
    return f"{_named(facts)} listed on {lists} ({some(meanings, _MOST_NAMED)}){acted}{before}"


def _listed_member(rule: Listing, fact: ListingFact) -> Member:
    text = f"{fact.target} is on {_list_name(fact)} ({_meaning(fact)})"
    at = fact.confirmed_at or fact.first_seen_at
    own = rule.severity == "auto" or fact.known.collateral
    severity = severity_of(fact) if own else Severity(rule.severity)
    holds = not fact.baseline or rule.baseline is Baseline.HOLD
    return Member(_key(fact), _scope(fact.place), text, at, _listed_target(fact), severity, holds)


def _listed_target(fact: ListingFact) -> ListedTarget:
    known = fact.known
    return ListedTarget(
        target=fact.target, customer=fact.place.customer, dnsbl=fact.dnsbl, name=_list_name(fact), codes=tuple(fact.codes),
        meaning=_meaning(fact), first_seen_at=fact.first_seen_at, baseline=fact.baseline, text=fact.answer.text,
        delist_url=known.delist_url(fact.target), sells_removal=known.sells_removal, isps=tuple(known.isps[:_MOST_PROVIDERS]),
    )


# ── who and what ──


def _key(fact: ListingFact) -> str:
    return f"{fact.place.target}@{fact.dnsbl}"


def _scope(place: Place) -> dict[str, str]:
    return {"ip" if place.is_ip else "domain": place.target}


def _common(facts: Iterable[ListingFact]) -> dict[str, str]:
    return in_common(fact.labels for fact in facts)


def _named(facts: Iterable[ListingFact]) -> str:
    return some(sorted({fact.place.target for fact in facts}), _MOST_NAMED)


def _list_name(fact: ListingFact) -> str:
    return fact.known.title


def _meaning(fact: ListingFact) -> str:
    return ", ".join(fact.answer.meanings) or ", ".join(fact.codes) or "listed"
