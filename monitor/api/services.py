"""What the API is given: everything it needs of the rest, and nothing it reaches for itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from collectors.mail import Report
from collectors.observation import Batch, Subject
from monitor.access.bound import own, shared
from monitor.access.keys import Caller
from monitor.config.mta import KumoMta
from monitor.config.settings import Api
from monitor.facts import Store, Taken
from monitor.intake.fetched import fetched
from monitor.intake.readings import Readings
from monitor.notify.routing import Routing
from monitor.restrictions.follow import GateIndex
from monitor.rules.lists import KnownLists
from monitor.rules.model import Rule

ReadMail = Callable[[bytes, str, str, datetime], tuple[Report, tuple[Batch, ...]]]


def _none() -> None:
    """Nothing is known to be wrong."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A relay's webhook by its name; `get` asks a relay's own address (a certificate, a confirmation)."""

    relay: str
    secret: str = field(default="", repr=False)
    customer: str | None = None
    topics: frozenset[str] = frozenset()
    get: Callable[[str], bytes] = fetched


@dataclass(slots=True)
class Posts:
    """Posts of facts that are being taken in; counted in the event loop only."""

    most: int = 64
    taken: int = 0


@dataclass(frozen=True, slots=True)
class Services:
    """`take` stores batches and has them judged; `collectors` says how often each enabled one runs.

    `read_mail` (mail, source, where in it, received at) says what a mail is and the facts in it; raises LookupError
    for a source nobody knows. `database_fault` is why the database cannot be written now.
    """

    store: Store
    gate: GateIndex
    now: Callable[[], datetime]
    take: Callable[[Sequence[Batch]], list[Taken]]
    settings: Api = field(default_factory=Api)
    collectors: Mapping[str, timedelta] = field(default_factory=dict)
    read_mail: ReadMail | None = None
    database_fault: Callable[[], str | None] = _none
    routing: Routing = field(default_factory=Routing)
    rules: Sequence[Rule] = ()
    configured: Mapping[str, Collection[str]] = field(default_factory=dict)  # matcher of silences → what it may name
    lists: KnownLists = field(default_factory=KnownLists)
    records: KumoMta = field(default_factory=KumoMta)  # how records name customers
    readings: Readings = field(default_factory=Readings)
    posts: Posts = field(default_factory=Posts)
    webhooks: Mapping[str, Hook] = field(default_factory=dict)

    def counted(self, caller: Caller, about: Subject, leaves_out: set[str]) -> Subject:
        """What facts brought by this caller count under, once it may name all of it; raises ForeignError (403).

        What others use too is left out, and named in `leaves_out`.
        """
        named = about._asdict()
        self.own(caller, named)
        dimensions = shared(caller, self.gate.owners, self.gate.names, named)
        leaves_out.update(f"{name}: {named[name]} is shared: counted without it" for name in dimensions)
        return about._replace(**dict.fromkeys(dimensions)) if dimensions else about

    def own(self, caller: Caller, about: Mapping[str, str | None]) -> str | None:
        """The customer meant, once the caller may name all of `about`. Raises ForeignError (403)."""
        return own(caller, self.gate.owners, about)
