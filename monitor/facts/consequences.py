"""What follows from facts, written in the transaction of the facts: handed to the store by whoever wires it.

So the facts know of no feature that lives on them, and a feature never misses a fact or sees one that was rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from collectors.observation import Subject, Trace
from monitor.facts.states import Answer


class NewAnswer(NamedTuple):
    """An answer about a state or gauge, and which batch brought it."""

    series_id: int
    batch_id: int
    measure: str
    subject: Subject
    answer: Answer


class NewTrace(NamedTuple):
    """A trace of a new batch, and its recipient as the customer's own sender names it (None: not known)."""

    batch_id: int
    source: str
    trace: Trace
    recipient_ref: str | None


# Takes the new answers of one measure and the ids of those series that had no known answer before.
FoldAnswers = Callable[[Connection, Sequence[NewAnswer], frozenset[int]], None]
# Takes the new traces of some kinds and `known_at`.
WriteTraces = Callable[[Connection, Sequence[NewTrace], datetime], None]


class FromTraces(NamedTuple):
    """`write` is called with the traces of these kinds, once per intake that has any."""

    kinds: frozenset[str]
    write: WriteTraces


@dataclass(frozen=True, slots=True)
class Consequences:
    """`answers` by measure."""

    answers: Mapping[str, FoldAnswers] = field(default_factory=dict)
    traces: Sequence[FromTraces] = ()
