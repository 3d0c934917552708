"""Records of MTAs on their way in: whose mail each was, and each counted once, in whichever batch it comes.

The operator's mapping says which word of a record names customer, stream and campaign. A customer the inventory does not know
is none; then the sending domain and the sending address say whose it was, where they are one customer's. IPs and domains
are kept only where they are ours: behind a translation of addresses a record shows one that nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from collectors.delivery import counting
from collectors.delivery.counting import Counted, Line, Whose
from collectors.delivery.outcomes import Event, Outcome
from collectors.observation import Batch, Subject
from collectors.providers import ProviderTable
from monitor.config.mta import KumoMta
from monitor.facts import RecordsTakenError, Taken
from monitor.inventory.known import KnownNames
from monitor.inventory.names import canonical
from monitor.inventory.owners import Owners

Take = Callable[[Sequence[Batch]], list[Taken]]
PREFIX = "events/"


class Attribution:
    """Whose mail a record was, by the mapping and the inventory as they are now."""

    def __init__(self, settings: KumoMta, names: KnownNames, owners: Owners) -> None:
        self._mapping, self._sources = settings.mapping, settings.sources
        self._owners = owners
        self._customers = names.parts.get("customers", frozenset())
        self._ips = names.parts.get("ips", frozenset())
        self._domains = names.parts.get("domains", frozenset())

    def __call__(self, event: Event, provider: str | None) -> Subject:
        ip, domain = self.ip(event), self._domain(event)
        named = self._named(event, self._mapping.customer)
        customer = named if named and (not self._customers or named in self._customers) else None
        if customer is None:
            customer = (domain and self._owners.owner("domain", domain)) or (ip and self._owners.owner("ip", ip)) or None
        return Subject(
            customer=customer, stream=self._named(event, self._mapping.stream),
            campaign=self._named(event, self._mapping.campaign), ip=ip, domain=domain, provider=provider,
        )  # fmt: skip

    def ip(self, event: Event) -> str | None:
        """The sending address, where it is ours."""
        ip = self._sources.get(event.source or "") or event.ip
        return ip if ip and (not self._ips or ip in self._ips) else None

    def _domain(self, event: Event) -> str | None:
        """The domain of the envelope's sender, or the nearest above it that is ours."""
        try:
            domain = canonical("domain", (event.sender or "").rpartition("@")[2])
        except ValueError:
            return None
        if not domain or not self._domains:
            return domain or None
        while domain and domain not in self._domains:
            domain = domain.partition(".")[2]
        return domain or None

    @staticmethod
    def _named(event: Event, place: str | None) -> str | None:
        return event.names.get(place) if place else None


def trusted(settings: KumoMta) -> frozenset[Outcome]:
    """Outcomes that are believed although an outsider could send what they are drawn from."""
    return frozenset({Outcome.COMPLAINED}) if settings.trust_feedback else frozenset()


def take_records(  # noqa: PLR0913 - each named at the call
    take: Take, lines: Sequence[Line], *, source: str, key: str, now: datetime, providers: ProviderTable, whose: Whose,
    trust: frozenset[Outcome] = frozenset(), brought_by: str | None = None, marks: Sequence[Batch] = (),
) -> tuple[Counted, Taken]:
    """Count the lines not counted before; returns once they are committed. `marks` are committed with them."""
    known: frozenset[int] = frozenset()
    while True:
        counted = counting.counted(
            lines, source=source, key=key, now=now, providers=providers, whose=whose, known=known, trust=trust,
            brought_by=brought_by,
        )  # fmt: skip
        try:
            taken, *_ = take([counted.batch, *marks])
        except RecordsTakenError as error:
            known |= error.keys
        else:
            return counted, taken
