"""Mail that is brought to us instead of being fetched: posted, replayed from files, parked and taken up again.

Whoever brings a mail names its source: a mailbox of the inventory, a folder of `mail_drop`, or just a purpose.
Parked mail remembers it as the first part of its place, so that it can be read again the same way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pydantic import SecretStr

import collectors
from collectors.contract import CollectorSettings, Purpose
from collectors.mail import Report
from collectors.observation import Batch
from collectors.report_mail.facts import PURPOSES, Arrival, LookUps, read, read_together
from collectors.report_mail.mail_drop import MailDropSettings
from collectors.report_mail.mail_source import MailboxSettings
from monitor.config.validation import did_you_mean
from monitor.facts import Store
from monitor.intake.context import RunContext
from monitor.inventory.rows import mailboxes

FRESH_SECONDS = 5.0  # how long what the inventory said is believed


@dataclass(frozen=True, slots=True)
class Source:
    """How mails of one source are read."""

    purpose: Purpose
    provider: str | None = None


class Brought(NamedTuple):
    """A mail and where in its source it lay. `size` is set where `raw` is only the beginning of it."""

    raw: bytes
    where: str
    received_at: datetime
    size: int | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    sources: Mapping[str, Source]
    look_ups: LookUps
    until: float


class HandedMail:
    """Reads mails as the collectors would; any thread may ask."""

    def __init__(self, store: Store, settings: Mapping[str, CollectorSettings], secrets: Mapping[str, SecretStr],
                 clock: Callable[[], datetime]) -> None:
        self._store = store
        self._secrets = secrets
        self._clock = clock
        known = collectors.discover()
        # those of the collector of each purpose, its defaults where it is not configured
        self._settings = {purpose: settings.get(purpose) or known[purpose].Settings() for purpose in PURPOSES}
        drop = settings.get("mail_drop")
        folders = drop.folders if isinstance(drop, MailDropSettings) else ()
        self._folders = {folder.name: Source(folder.purpose, folder.provider) for folder in folders}
        self._known: _Known | None = None
        self._renewing = threading.Lock()

    def read(self, raw: bytes, source: str, where: str, received_at: datetime,
             size: int | None = None) -> tuple[Report, tuple[Batch, ...]]:
        """What a mail is and the facts in it. Raises LookupError for a source that is not known."""
        known = self._now_known()
        about, settings = self._read_as(source, known)
        return read(self._arrival(Brought(raw, where, received_at, size), source, about), known.look_ups, settings)

    def read_together(self, mails: Iterable[Brought], source: str) -> Iterator[tuple[Report, tuple[Batch, ...]]]:
        """As `read`, of several mails of one source, in order; for one thread that brings very many."""
        known = self._now_known()
        about, settings = self._read_as(source, known)
        return read_together([self._arrival(mail, source, about) for mail in mails], known.look_ups, settings)

    def _read_as(self, source: str, known: _Known) -> tuple[Source, MailboxSettings]:
        if source not in known.sources:
            raise LookupError(f"no source '{source}' — {did_you_mean(source, known.sources)}")
        about = known.sources[source]
        settings = self._settings[about.purpose]
        assert isinstance(settings, MailboxSettings)
        return about, settings

    def _arrival(self, mail: Brought, source: str, about: Source) -> Arrival:
        settings = self._settings[about.purpose]
        assert isinstance(settings, MailboxSettings)
        return Arrival(mail.raw, f"{source}/{mail.where}", min(mail.received_at, self._clock()), about.purpose, about.provider,
                       mail.size, trusted=source in settings.trusted_mailboxes)

    def _now_known(self) -> _Known:
        with self._renewing:
            if self._known is None or time.monotonic() > self._known.until:
                context = RunContext(self._store, "mail", self._secrets, threading.Event(), self._clock())
                with self._store.reading_session() as session:
                    boxes = {box.name: Source(Purpose(box.purpose), box.provider) for box in mailboxes(session)}
                purposes = {purpose.value: Source(purpose) for purpose in PURPOSES}
                sources = {**purposes, **self._folders, **boxes}
                self._known = _Known(sources, context, time.monotonic() + FRESH_SECONDS)
            return self._known
