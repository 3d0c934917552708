"""Mailbox providers: who receives the mail of a domain, and how that provider reports complaints.

The data is `providers.yaml` beside this file. A domain is looked up whole (few have domains below them), an
MX host by its ending. What is not in the table has no name (None); then the MX decides, for many a company's
domain lives at a provider of the table. May be wrong for a domain that moved: the MX is the better witness.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

DATA = Path(__file__).with_suffix(".yaml")
MOST_LABELS = 12  # names from outside: a hostile one must not cost more


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FeedbackLoopProgramme(_Row):
    """How complaints are reported: a mail per report (arf), counts only (aggregate), or not at all."""

    kind: Literal["arf", "aggregate", "none"]
    keyed_by: Literal["ip", "domain"] | None = None
    url: str | None = Field(None, pattern=r"^https?://")
    note: str | None = None


class Threshold(_Row):
    """A share (0 to 1) the provider or its tools draw a line at."""

    measure: Literal["complaint_rate", "spam_rate"]
    kind: Literal["target", "limit"]
    value: float = Field(gt=0, lt=1)
    source: str = Field(min_length=1)


class Provider(_Row):
    id: str = Field(pattern=r"^[a-z0-9_]+$")
    name: str
    also: tuple[str, ...] = ()
    domains: tuple[str, ...]
    mx: tuple[str, ...]
    fbl: FeedbackLoopProgramme | None = None  # None: not known, which is not the same as kind none
    postmaster: str | None = Field(None, pattern=r"^https?://")
    thresholds: tuple[Threshold, ...] = ()


@cache
def providers() -> dict[str, Provider]:
    """Every provider by its id."""
    rows = [Provider.model_validate(row) for row in yaml.safe_load(DATA.read_text(encoding="utf-8"))]
    return {row.id: row for row in rows}


@cache
def _index(field: Literal["domains", "mx", "also"]) -> dict[str, str]:
    return {key: row.id for row in providers().values() for key in getattr(row, field)}


def recipient_domains() -> Mapping[str, str]:
    """Recipient domain → provider; one that begins with a dot stands for itself and all below it."""
    return _index("domains")


def other_names() -> Mapping[str, str]:
    """Names a provider is known under beside its id → provider."""
    return _index("also")


def provider_of_domain(domain: str) -> str | None:
    """The provider whose own recipient domain this is."""
    known = _index("domains")
    name = domain.strip().rstrip(".").lower()
    return known.get(name) or next((known[f".{end}"] for end in _endings(name) if f".{end}" in known), None)


def provider_of_mx(host: str) -> str | None:
    """The provider that runs this MX host: the longest known ending of whole labels."""
    known = _index("mx")
    return next((known[ending] for ending in _endings(host) if ending in known), None)


def _endings(host: str) -> list[str]:
    """The host, the domain above it, and so on."""
    labels = host.strip().rstrip(".").lower().split(".")[-MOST_LABELS:]
    return [".".join(labels[start:]) for start in range(len(labels))]


def provider_named(name: str) -> str | None:
    """The id for a name a report or an operator used."""
    name = name.strip().lower()
    return name if name in providers() else _index("also").get(name)
