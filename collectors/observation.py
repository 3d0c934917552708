"""The few shapes through which every fact of the world passes into the store.

An `Observation` is a number about a subject; a `Trace` is a fact about one message or recipient; a
`Batch` is what is committed together. They say what was seen, never whether it is bad.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from collectors.traces import TraceKind


class Subject(NamedTuple):
    """What a number is about: the dimensions of `Use.SUBJECT`. Only the fields that apply are set; together they name a series."""

    customer: str | None = None
    stream: str | None = None
    campaign: str | None = None
    ip: str | None = None
    domain: str | None = None
    provider: str | None = None
    dnsbl: str | None = None
    operator: str | None = None
    mailbox: str | None = None
    seed: str | None = None
    aspect: str | None = None
    collector: str | None = None

    def __str__(self) -> str:
        words = ", ".join(f"{name} {value}" for name, value in self._asdict().items() if value)
        return words or "everything"


@dataclass(frozen=True, slots=True)
class Observation:
    """One number as it was seen. `value` None means asked and not known, with the reason why.

    `at` is the time the fact is about (aware UTC). Counts are deltas and add up.
    `detail` explains a state (return codes, text, TTL); it is kept with the newest value only.
    """

    measure: str
    subject: Subject
    at: datetime
    value: float | None
    reason: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError(f"{self.measure}: at must carry a time zone")
        if (self.value is None) != (self.reason is not None):
            raise ValueError(f"{self.measure}: exactly one of value and reason is given")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"{self.measure}: {self.value} is no number; say None and why")


@dataclass(frozen=True, slots=True)
class Trace:
    """One fact about one message or recipient. The store keeps the recipient as a keyed hash only.

    `recipient` is what the source says; `recipient_ref` and `recipient_hash` are what a token or our own
    records say of a recipient the source hides. `verified`: that the source is who it claims to be was shown,
    by its signature, a key of ours, or a mailbox only it can write to. `hard`: the recipient is dead.
    """

    kind: TraceKind
    at: datetime
    subject: Subject
    recipient: str | None = None
    message_id: str | None = None
    category: str | None = None
    status: str | None = None
    reply_code: str | None = None
    text: str | None = None
    how: str | None = None  # which identifier attributed it
    count: int = 1
    recipient_ref: str | None = None
    recipient_hash: str | None = None
    verified: bool = False
    hard: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was received, as received; kept for a stated time."""

    kind: str  # mail, body
    at: datetime
    body: bytes


@dataclass(frozen=True, slots=True)
class Parked:
    """Input that could not be understood: never dropped, never retried for ever."""

    source: str  # where it was found: mailbox/folder/uid, file:line
    reason: str
    text: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """What is committed together. The same (`source`, `key`) is taken once, however often it is delivered.

    `content` names what is counted under a key that names only a report: the same key with the same content is a
    repeat, with another content it is a revision, and `revision` is parked instead of the facts.
    `cursor` replaces the collector's cursor `cursor_name` in the same transaction.
    `acknowledge` informs the source; it is called after the commit, also when the batch was a repeat.
    `brought_by` names a key or command whose user hears what was refused; None: nobody does, so it is parked.
    `records` are the keys of single records counted in it: the store takes each once, in whichever batch it comes.
    `together`: it may be committed with the batch that follows, which the collector has ready.
    """

    source: str
    key: str
    at: datetime
    observations: tuple[Observation, ...] = ()
    traces: tuple[Trace, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    parked: tuple[Parked, ...] = ()
    cursor_name: str | None = None
    cursor: Mapping[str, Any] | None = None
    acknowledge: Callable[[], None] | None = None
    content: str | None = None
    revision: Parked | None = None
    together: bool = False
    brought_by: str | None = None
    records: tuple[int, ...] = ()


def in_groups(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches, each but the last marked `together`: also the last before an error."""
    held: Batch | None = None
    try:
        for batch in batches:
            if held is not None:
                yield replace(held, together=True)
            held = batch
    except Exception:
        if held is not None:
            yield held
        raise
    if held is not None:
        yield held
