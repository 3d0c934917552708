"""May this signer say that a recipient of that mailbox provider complained?

The data is `reporters.yaml` beside this file. A complaint can hold a customer back, so it counts only from who has
the provider's word: everybody can sign for a domain of their own, and every user of a provider writes with that
provider's signature. What the table does not name is not believed; an operator may add domains (`reporters`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from collectors.providers import ProviderTable

DATA = Path(__file__).with_suffix(".yaml")
REPORTING_LABELS = frozenset({"fbl", "arf", "feedback", "feedbackloop", "feedback-loop"})


class Reporter(BaseModel):
    """One row; see the head of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    signs: tuple[str, ...] = Field(min_length=1)
    senders: frozenset[str] = Field(frozenset(), alias="from")
    speaks_for: frozenset[str] = Field(min_length=1)
    hosted: bool = False
    note: str | None = None

    def signed(self, signers: Collection[str], sender: str) -> bool:
        if self.senders and sender.lower() not in self.senders:
            return False
        return any(is_below(signer, domain) for signer in signers for domain in self.signs)


@cache
def reporters() -> tuple[Reporter, ...]:
    """Every row of the table."""
    return tuple(Reporter.model_validate(row) for row in yaml.safe_load(DATA.read_text(encoding="utf-8")))


def speaks_for_provider(signers: Collection[str], sender: str, provider: str | None,
                        added: Mapping[str, Collection[str]], providers: ProviderTable) -> bool:
    """Whether one of the signing domains may report complaints of this provider's recipients.

    `sender` is the address of the report's From; `provider` None stands for a domain no table names; `added` are
    the operator's own rows: domain → ids of providers.
    """
    if any(row.signed(signers, sender) and (row.hosted if provider is None else provider in row.speaks_for)
           for row in reporters()):
        return True
    if provider is None:
        return False
    own = any(is_below(signer, domain) and provider in spoken_for
              for signer in signers for domain, spoken_for in added.items())
    return own or any(_reports_for(signer, providers) == provider for signer in signers)


def _reports_for(signer: str, providers: ProviderTable) -> str | None:
    label, _, above = signer.partition(".")
    return providers.of_domain(above) if label in REPORTING_LABELS else None


def is_below(name: str, domain: str) -> bool:
    """Whether a name is this domain or one below it."""
    return name == domain or name.endswith(f".{domain}")
