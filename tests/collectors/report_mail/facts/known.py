"""What a reading of mails is handed: whose mails, by a function, and the providers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from collectors.contract import Attribution, Identifiers
from collectors.providers import ProviderTable, shipped


@dataclass
class Known:
    attribute: Callable[[Identifiers], Attribution]
    providers: ProviderTable = field(default_factory=shipped)

    def prepare(self, expected: Iterable[Identifiers]) -> None:
        """Nothing is at hand."""
