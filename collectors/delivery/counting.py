"""Records of any format → what is counted and traced: the one place that says what counts as what.

Counts are added up by measure, subject and minute, dated by the minute's newest event. A refusal (5xx) whose words are about
reputation, policy, content or authentication is a block, any other a bounce; a relay's own word for it (`final`) stays.
Complaints and late bounces that an outsider can forge are counted, and nobody is held or suppressed for them. What was not
delivered leaves a trace. One record is counted once, by its key, however often it is brought.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from collectors.delivery.outcomes import MEANINGS, Event, Ignored, Outcome, Read, Reader, Unreadable
from collectors.observation import Batch, Observation, Parked, Subject, Trace
from collectors.providers import ProviderTable
from collectors.replies.judgement import Judgement, judge
from collectors.replies.judgement_table import Category

OTHER = "other"
DUPLICATE = "duplicate"
LONGEST_RECORD = 2 * 1024 * 1024
_LONGEST_TEXT = 1_000
_MOST_PARKED = 100  # one by one; the rest of a batch is parked together
_BLOCKS = frozenset({
    Category.POLICY, Category.REPUTATION_IP, Category.REPUTATION_DOMAIN, Category.CONTENT, Category.AUTHENTICATION,
})

Whose = Callable[[Event, str | None], Subject]  # the event and its provider → what it counts under


@dataclass(frozen=True, slots=True)
class Line:
    """One record as it was read: its number (from 1), its key, itself, and what it says."""

    number: int
    key: int
    raw: bytes
    read: Read


@dataclass(frozen=True, slots=True)
class Counted:
    """`read` + Σ`ignored` + `unreadable` are the records given; `unreadable`: (line, reason)."""

    batch: Batch
    read: int
    ignored: Mapping[str, int]
    unreadable: Sequence[tuple[int, str]]
    outcomes: Mapping[Outcome, int]
    categories: Mapping[str, int]
    events: Sequence[Event]

    def as_counts(self) -> dict[str, Any]:
        """As it is printed: what was read, ignored by kind and unreadable; outcomes and categories."""
        return {
            "read": self.read, "ignored": dict(sorted(self.ignored.items())), "unreadable": len(self.unreadable),
            "outcomes": {outcome.value: count for outcome, count in sorted(self.outcomes.items())},
            "categories": dict(sorted(self.categories.items())),
        }  # fmt: skip


def lines_of(given: Iterable[bytes], reader: Reader, source: str, first: int = 1) -> list[Line]:
    """Read each line that is not blank."""
    return records_of(enumerate(given, first), reader, source)


def records_of(given: Iterable[tuple[int, bytes]], reader: Reader, source: str) -> list[Line]:
    """The same of records that have their numbers. One that is unreadable has a key of its own: it may be readable another time."""
    lines = []
    for number, raw in given:
        record = raw.strip()
        if not record:
            continue
        read = reader(record) if len(record) <= LONGEST_RECORD else Unreadable(f"longer than {LONGEST_RECORD:,} bytes")
        if read is not None:
            why = read.reason if isinstance(read, Unreadable) else ""
            lines.append(Line(number, record_key(source + why, record), record, read))
    return lines


def record_key(source: str, record: bytes) -> int:
    """The first 8 bytes of the SHA-256 of a record and its source, as a number a database keeps (signed)."""
    return int.from_bytes(hashlib.sha256(source.encode() + b"\n" + record).digest()[:8], "big", signed=True)


@dataclass(slots=True)
class _Tally:
    """What a batch adds up to while it is made."""

    providers: ProviderTable
    whose: Whose
    trust: frozenset[Outcome]
    counts: dict[tuple[str, Subject, datetime], tuple[int, datetime]] = field(default_factory=dict)
    traces: list[Trace] = field(default_factory=list)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)

    def add_all(self, events: Sequence[Event]) -> None:
        """Raises ValueError, with nothing counted, where `whose` refuses one of them."""
        providers = [provider_of(event, self.providers) for event in events]
        abouts = [self.whose(event, provider) for event, provider in zip(events, providers, strict=True)]
        for event, provider, about in zip(events, providers, abouts, strict=True):
            self._add(event, provider, about)

    def _add(self, event: Event, provider: str | None, about: Subject) -> None:
        verified = event.verified or event.outcome in self.trust
        outcome, judgement = event.outcome, None
        if MEANINGS[outcome].judged:
            judgement = _judged(event.status, event.reply_code, event.text or "", provider, event.mx)
        category = event.category or _category(event, judgement)
        if outcome is Outcome.BOUNCED and not event.final and category in _BLOCKS:
            outcome = Outcome.BLOCKED
        self.outcomes[outcome] += 1
        if category and outcome is not Outcome.COMPLAINED:
            self.categories[category] += 1
        hard = bool(judgement and judgement.hard and outcome in (Outcome.BOUNCED, Outcome.ASYNC_BOUNCED))
        measure = _measure(outcome, hard=hard, verified=verified)
        minute = (measure, about, event.at.replace(second=0, microsecond=0))
        before, newest_at = self.counts.get(minute, (0, event.at))
        self.counts[minute] = before + 1, max(newest_at, event.at)
        kind = MEANINGS[outcome].trace
        if kind is not None and (event.recipient or event.message_id):
            self.traces.append(Trace(
                kind, event.at, about, event.recipient, event.message_id, category,
                judgement.status or event.status if judgement else event.status, event.reply_code,
                (event.text or "")[:_LONGEST_TEXT] or None, how="given by the sender", verified=verified, hard=hard,
            ))  # fmt: skip


def counted(  # noqa: PLR0913 - each named at the call
    lines: Sequence[Line], *, source: str, key: str, now: datetime, providers: ProviderTable, whose: Whose,
    known: frozenset[int] = frozenset(), trust: frozenset[Outcome] = frozenset(), brought_by: str | None = None,
) -> Counted:
    """The batch of these lines without those whose keys are `known`; of two equal lines one counts.

    `whose` raises ValueError for what may not be named; `trust`: outcomes that are believed though nobody vouches for them.
    """
    tally, ignored = _Tally(providers, whose, trust), Counter[str]()
    events: list[Event] = []
    unreadable: list[tuple[Line, str]] = []
    new: dict[int, None] = {}
    read = 0
    for line in lines:
        if isinstance(line.read, Ignored):
            ignored[line.read.kind] += 1
        elif line.key in known or line.key in new:
            ignored[DUPLICATE] += 1
        else:
            new[line.key] = None
            if isinstance(line.read, Unreadable):
                unreadable.append((line, line.read.reason))
                continue
            try:
                tally.add_all(line.read)
            except ValueError as error:
                unreadable.append((line, str(error)))
                continue
            read += 1
            events += line.read
    observations = tuple(
        Observation(measure, subject, at, float(count)) for (measure, subject, _), (count, at) in tally.counts.items()
    )
    batch = Batch(source, key, now, observations, tuple(tally.traces), parked=tuple(_parked(unreadable)),
                  brought_by=brought_by, records=tuple(new))
    reasons = [(line.number, reason) for line, reason in unreadable]
    return Counted(batch, read, ignored, reasons, tally.outcomes, tally.categories, events)


def provider_of(event: Event, providers: ProviderTable) -> str | None:
    """Who has the recipient's mailbox: by the domain, else by the host that answered, else by the MTA's own word."""
    domain = event.recipient_domain
    known = (
        (domain and providers.of_domain(domain)) or (event.mx and providers.of_mx(event.mx))
        or (event.provider_name and providers.named(event.provider_name))
    )  # fmt: skip
    return known or (OTHER if domain else None)


def _category(event: Event, judgement: Judgement | None) -> str | None:
    if judgement is None:
        return None
    return event.hint if event.hint and judgement.category == Category.UNKNOWN else judgement.category


def _measure(outcome: Outcome, *, hard: bool, verified: bool) -> str:
    if outcome is Outcome.BOUNCED and hard:
        return "hard_bounce"
    if outcome is Outcome.COMPLAINED and not verified:
        return "unverified_complaint"
    return MEANINGS[outcome].measure


@lru_cache(maxsize=4_096)  # a campaign meets the same refusal thousands of times
def _judged(status: str | None, code: str | None, text: str, provider: str | None, mx: str | None) -> Judgement:
    return judge(status, code, text, provider=None if provider == OTHER else provider, remote=mx)


def _parked(unreadable: Sequence[tuple[Line, str]]) -> Iterable[Parked]:
    for line, reason in unreadable[:_MOST_PARKED]:
        yield Parked(f"line {line.number}", "malformed", reason, line.raw)
    rest = unreadable[_MOST_PARKED:]
    if rest:
        place = f"lines {rest[0][0].number} to {rest[-1][0].number}"
        yield Parked(place, "malformed", f"{len(rest)} more lines", b"\n".join(line.raw for line, _ in rest))
