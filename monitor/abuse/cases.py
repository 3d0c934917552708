"""Abuse cases: what a report is about, how long it may wait, and how a case moves. Pure; the data is `cases.yaml`.

What is done moves a case; what waits, waits for somebody:

  state             ours   customer          provider          close    report
  open              open   waiting_customer  waiting_provider  closed   open
  waiting_customer  open   waiting_customer  waiting_provider  closed   waiting_customer
  waiting_provider  open   waiting_customer  waiting_provider  closed   waiting_provider
  closed            open   waiting_customer  waiting_provider  closed   closed (a new case is opened)

A letter is sorted by words of its subject, so it may be sorted wrongly: its deadline then errs by a few days. Who
reads it may sort it anew.
"""

from __future__ import annotations

import enum
import re
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field

from monitor.config.quantities import Duration

DATA = Path(__file__).with_suffix(".yaml")
JOINS_WITHIN = timedelta(days=7)  # a report on the same matter joins the open case
OTHER = "other"


class State(enum.StrEnum):
    OPEN = "open"
    WAITING_CUSTOMER = "waiting_customer"
    WAITING_PROVIDER = "waiting_provider"
    CLOSED = "closed"


class Turn(enum.StrEnum):
    """Whom a case waits for."""

    OURS = "ours"
    CUSTOMER = "customer"
    PROVIDER = "provider"


class Step(enum.StrEnum):
    """What is done to a case."""

    OURS = Turn.OURS.value
    CUSTOMER = Turn.CUSTOMER.value
    PROVIDER = Turn.PROVIDER.value
    CLOSE = "close"
    REPORT = "report"


_LEADS_TO = {
    Step.OURS: State.OPEN,
    Step.CUSTOMER: State.WAITING_CUSTOMER,
    Step.PROVIDER: State.WAITING_PROVIDER,
    Step.CLOSE: State.CLOSED,
}
# whatever the state, a step leads to the same; a report alone leaves it as it is
NEXT: dict[tuple[State, Step], State] = {(state, step): _LEADS_TO.get(step, state) for state in State for step in Step}


class AbuseKind(BaseModel):
    """One kind of abuse: a row of the data."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Annotated[str, Field(pattern=r"^[a-z]+$")]
    within: Duration
    types: frozenset[str]
    words: tuple[str, ...]


@cache
def kinds() -> dict[str, AbuseKind]:
    """Every kind, the most urgent that may be meant first."""
    rows = [AbuseKind.model_validate(row) for row in yaml.safe_load(DATA.read_text(encoding="utf-8"))]
    return {row.kind: row for row in rows}


def kind_of(reported: str | None, subject: str | None) -> str:
    """What it is about: by the type a machine gave it, else by words of the subject, else other."""
    for row in kinds().values():
        if reported and reported.lower() in row.types:
            return row.kind
    for name, pattern in _patterns().items():
        if pattern.search(subject or ""):
            return name
    return OTHER


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {
        row.kind: re.compile(rf"\b(?:{'|'.join(map(re.escape, row.words))})", re.IGNORECASE)
        for row in kinds().values() if row.words
    }


def thread(subject: str | None) -> str:
    """A subject without the marks of answering and forwarding: the same for all letters on one matter."""
    return re.sub(r"^(?:\s*(?:re|fwd?|aw|wg|tr)\s*:)*\s*", "", subject or "", flags=re.IGNORECASE).strip().lower()
