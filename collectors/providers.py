"""Mailbox providers: who receives the mail of a domain, and how that provider reports complaints.

The data is `providers.yaml` beside this file, and what an inventory adds (`with_own`): whoever recognises a provider is
handed the table to look it up in. A domain is looked up whole (few have domains below them), an
MX host by its ending. What is not in the table has no name (None); then the MX decides, for many a company's
domain lives at a provider of the table. May be wrong for a domain that moved: the MX is the better witness.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    name: str
    also: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    mx: tuple[str, ...] = ()
    fbl: FeedbackLoopProgramme | None = None  # None: not known, which is not the same as kind none
    postmaster: str | None = Field(None, pattern=r"^https?://")
    zone: str | None = Field(None, pattern=r"^[A-Z][A-Za-z0-9_+/-]+$")  # its day begins at midnight there; None: not known
    thresholds: tuple[Threshold, ...] = ()


@dataclass(frozen=True)
class ProviderTable:
    """Every provider by its id, and what it is recognised by: recipient domains, endings of MX hosts, other names.

    A recipient domain that begins with a dot stands for itself and all below it.
    """

    rows: Mapping[str, Provider]
    domains: Mapping[str, str]
    mx: Mapping[str, str]
    names: Mapping[str, str]

    def of_domain(self, domain: str) -> str | None:
        """The provider whose own recipient domain this is."""
        name = domain.strip().rstrip(".").lower()
        known = self.domains
        return known.get(name) or next((known[f".{end}"] for end in _endings(name) if f".{end}" in known), None)

    def of_mx(self, host: str) -> str | None:
        """The provider that runs this MX host: the longest known ending of whole labels."""
        return next((self.mx[ending] for ending in _endings(host) if ending in self.mx), None)

    def named(self, name: str) -> str | None:
        """The id for a name a report or an operator used."""
        name = name.strip().lower()
        return name if name in self.rows else self.names.get(name)

    def of(self, *names: str | None) -> str | None:
        """The first provider that a name, a domain or a mail address belongs to."""
        for name in filter(None, names):
            if provider := self.named(name) or self.of_domain(name.rpartition("@")[2]):
                return provider
        return None

    def with_own(self, own: Iterable[Provider]) -> ProviderTable:
        """An operator's own rows besides, which add to a provider it has.

        Where both name a domain, an MX or a name, the operator is right.
        """
        rows, given = dict(self.rows), tuple(own)
        for row in given:
            known = rows.get(row.id)
            rows[row.id] = row if known is None else known.model_copy(update={"name": row.name})
        recognised = _recognised_by(given)
        names = {name: at for name, at in {**self.names, **recognised["also"]}.items() if name not in {row.id for row in given}}
        return ProviderTable(rows, {**self.domains, **recognised["domains"]}, {**self.mx, **recognised["mx"]}, names)


@cache
def shipped() -> ProviderTable:
    """The table of `providers.yaml`."""
    rows = [Provider.model_validate(row) for row in yaml.safe_load(DATA.read_text(encoding="utf-8"))]
    recognised = _recognised_by(rows)
    return ProviderTable({row.id: row for row in rows}, recognised["domains"], recognised["mx"], recognised["also"])


def _recognised_by(rows: Iterable[Provider]) -> dict[str, dict[str, str]]:
    rows = tuple(rows)
    return {field: {key: row.id for row in rows for key in getattr(row, field)} for field in ("domains", "mx", "also")}


def _endings(host: str) -> list[str]:
    """The host, the domain above it, and so on."""
    labels = host.strip().rstrip(".").lower().split(".")[-MOST_LABELS:]
    return [".".join(labels[start:]) for start in range(len(labels))]
