"""When an answer of a DNSBL becomes a listing, and when it ends: intervals with hysteresis. Pure.

Lists flap (24-hour expiries, zero-hour lists), resolvers cache, and a sweep repeated inside one TTL sees
only the cache. So: the first known answer is a baseline; a listing is confirmed by hits on distinct TTLs
(one where the list weighs enough); it ends after several positive "not listed" on distinct TTLs.
An unknown answer changes nothing but is remembered. What a person would call an event is what `change` returns.

  phase      hit                          not listed                     unknown     void since T
  (none)     baseline listed | suspected | listed     (none)             (none)      (none)
  suspected  suspected | listed           cleared, never confirmed       suspected   suspected | cleared
  listed     listed                       clearing                       listed      listed | suspected | cleared
  clearing   listed                       clearing | cleared             clearing    listed | cleared
  cleared                                                                            listed, where it was cleared after T

`void since T`: the list failed its test entries, and no good check vouches for what it said after T. What began after T
never was; what was confirmed, or put in doubt, after T is as it was before. `end` closes an interval nobody asks about
any more. Both leave the reason in `ended_reason`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from collectors.details import ListAnswer
from monitor.database.transitions import BEFORE
from monitor.rules.lists import Phase

HITS_TO_CONFIRM = 2
CLEAN_TO_CLEAR = 3
TAKEN_BACK = "the list failed its test entries: what it said since its last good check is taken back"
WEIGHT_OF_ONE_HIT = 0.9  # a list this weighty is believed at its first word


_SILENT = ListAnswer()


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer about one target by one list. `listed` None: unknown, for `reason`."""

    at: datetime
    listed: bool | None
    reason: str | None = None
    detail: ListAnswer = _SILENT


@dataclass(frozen=True, slots=True)
class Interval:
    """The columns of `tables.Listing` that change."""

    phase: Phase
    first_seen_at: datetime
    last_seen_at: datetime
    checked_at: datetime
    baseline: bool = False
    codes: tuple[str, ...] = ()
    hits: int = 1
    clean_answers: int = 0
    next_counts_at: datetime | None = None
    confirmed_at: datetime | None = None
    cleared_at: datetime | None = None
    unknown_reason: str | None = None
    unknown_since: datetime | None = None
    ended_reason: str | None = None  # None: it stands, or enough answers said so
    detail: ListAnswer = _SILENT


@dataclass(frozen=True, slots=True)
class Change:
    """What happened between two answers: `old` and `new` are listed, cleared, suspected, none, or codes."""

    old: str
    new: str
    why: str


def fold(interval: Interval | None, answer: Answer, *, first: bool) -> Interval | None:
    """The open interval after one more answer; None while there is none.

    `first` is true when this (target, list) never had a known answer: what is found then was there before
    we looked, and is a baseline. An answer older than the last one counted is not folded.
    """
    if interval is None:
        return _opened(answer, first=first) if answer.listed else None
    if answer.at < interval.checked_at:
        return interval
    if answer.listed is None:
        if answer.detail.void_since:
            interval = _taken_back(interval, answer.at, answer.detail.void_since)
        since = interval.unknown_since or answer.at
        return replace(interval, checked_at=answer.at, unknown_reason=answer.reason, unknown_since=since)
    known = replace(interval, checked_at=answer.at, unknown_reason=None, unknown_since=None)
    return _hit(known, answer) if answer.listed else _clean(known, answer)


def change(before: Interval | None, after: Interval | None) -> Change | None:
    """Raised, cleared, codes changed, or a blip (suspected, then gone); None for all that is no event.

    A first suspicion is none yet, and neither is a clean answer that may still be taken back.
    """
    if after is None:
        return None
    known = before is not None and before.confirmed_at is not None
    if after.phase == Phase.CLEARED:
        return _ended(after, known=known)
    if before is not None and (before.phase == Phase.CLEARED or (known and after.confirmed_at is None)):
        return Change(Phase.CLEARED if before.phase == Phase.CLEARED else Phase.LISTED, after.phase, TAKEN_BACK)
    if after.confirmed_at is not None and not known:
        how = "was there when we first looked" if after.baseline else "listed"
        return Change(before.phase if before else BEFORE, Phase.LISTED, f"{how}: {after.detail.meaning}")
    if before is not None and known and before.codes != after.codes:
        return Change(", ".join(before.codes), ", ".join(after.codes), f"now: {after.detail.meaning}")
    return None


def _ended(interval: Interval, *, known: bool) -> Change:
    """`known`: whether it was ever confirmed."""
    if interval.ended_reason:
        return Change(Phase.LISTED if known else Phase.SUSPECTED, Phase.CLEARED, interval.ended_reason)
    if known:
        return Change(Phase.LISTED, Phase.CLEARED, f"{CLEAN_TO_CLEAR} answers in a row say: not listed")
    return Change(Phase.SUSPECTED, Phase.CLEARED, "seen once and not again: it was never confirmed")


def reopened(interval: Interval, answer: Answer) -> Interval:
    """An interval that was cleared by answers which no longer count."""
    back = replace(interval, phase=Phase.LISTED, cleared_at=None, clean_answers=0, next_counts_at=None)
    return replace(back, checked_at=answer.at, unknown_reason=answer.reason, unknown_since=answer.at)


def end(interval: Interval, at: datetime, reason: str) -> Interval:
    """An interval nobody asks about any more."""
    return replace(interval, phase=Phase.CLEARED, cleared_at=at, ended_reason=reason)


def _taken_back(interval: Interval, at: datetime, since: datetime) -> Interval:
    """What is left of an open interval when what its list said after `since` does not count."""
    if interval.first_seen_at > since:
        return end(interval, at, TAKEN_BACK)
    if interval.confirmed_at is not None and interval.confirmed_at > since:
        return replace(interval, phase=Phase.SUSPECTED, confirmed_at=None, hits=1, clean_answers=0, next_counts_at=None)
    if interval.phase == Phase.CLEARING:
        return replace(interval, phase=Phase.LISTED, clean_answers=0, next_counts_at=None)
    return interval


def _opened(answer: Answer, *, first: bool) -> Interval:
    confirmed = first or _hits_needed(answer) == 1
    return Interval(
        phase=Phase.LISTED if confirmed else Phase.SUSPECTED,
        first_seen_at=answer.at,
        last_seen_at=answer.at,
        checked_at=answer.at,
        baseline=first,
        codes=tuple(sorted(set(answer.detail.codes))),
        next_counts_at=_after_ttl(answer),
        confirmed_at=answer.at if confirmed else None,
        detail=answer.detail,
    )


def _hit(interval: Interval, answer: Answer) -> Interval:
    seen = replace(
        interval,
        last_seen_at=answer.at,
        codes=tuple(sorted(set(answer.detail.codes))),
        detail=answer.detail,
        clean_answers=0,
    )
    if interval.phase == Phase.CLEARING:
        return replace(seen, phase=Phase.LISTED, next_counts_at=_after_ttl(answer))
    if interval.phase == Phase.LISTED or _cached(interval, answer):
        return seen
    hits = interval.hits + 1
    counted = replace(seen, hits=hits, next_counts_at=_after_ttl(answer))
    if hits >= _hits_needed(answer):
        return replace(counted, phase=Phase.LISTED, confirmed_at=answer.at)
    return counted


def _clean(interval: Interval, answer: Answer) -> Interval:
    if interval.phase == Phase.SUSPECTED:
        return replace(interval, phase=Phase.CLEARED, cleared_at=answer.at)
    if interval.phase == Phase.CLEARING and _cached(interval, answer):
        return interval
    clean = interval.clean_answers + 1
    counted = replace(interval, phase=Phase.CLEARING, clean_answers=clean, next_counts_at=_after_ttl(answer))
    if clean >= CLEAN_TO_CLEAR:
        return replace(counted, phase=Phase.CLEARED, cleared_at=answer.at)
    return counted


def _hits_needed(answer: Answer) -> int:
    return 1 if answer.detail.weight >= WEIGHT_OF_ONE_HIT else HITS_TO_CONFIRM


def _cached(interval: Interval, answer: Answer) -> bool:
    return interval.next_counts_at is not None and answer.at < interval.next_counts_at


def _after_ttl(answer: Answer) -> datetime:
    return answer.at + timedelta(seconds=answer.detail.ttl_seconds)
