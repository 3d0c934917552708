"""Mailboxes that are read for the mails in them: what feedback loops, bounces, DMARC reports and abuse share.

Asks IMAP mailboxes of one purpose, all of them, each from its own cursor. Every mail becomes batches keyed by
its content (collectors.report_mail.facts), so the same mail in two folders, delivered twice or met again
under a new UIDVALIDITY counts once. A mailbox that cannot be read is an answer too, and does not stop the others.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

from pydantic import Field

from collectors.clients.mailbox import Letter, MailboxClient, arrivals
from collectors.contract import CollectorError, CollectorSettings, Context, Mailbox, Purpose, Reason
from collectors.details import ReadFailure
from collectors.observation import Batch, Observation, Subject, in_groups
from collectors.report_mail.facts import MEASURES, Arrival, MailSettings, read_together

log = logging.getLogger(__name__)

FIRST_PAUSE = 5.0
LONGEST_PAUSE = 900.0
PATIENCE = 1.0  # for listeners that end
MAILS_TOGETHER = 200
BYTES_TOGETHER = 8_000_000


class MailboxSettings(MailSettings):
    """`max_watched`: mailboxes with a connection of their own waiting for news; the rest wait for their turn.

    `trusted_mailboxes`: those only mailbox providers can write to, by address or filter, so that what lies
    there is believed. Any other complaint counts, and suppresses a recipient, only where `authserv_id` vouches for a
    signer who speaks for the recipient's mailbox provider, or our own token names the mail.
    """

    max_watched: int = Field(50, ge=0)
    trusted_mailboxes: frozenset[str] = frozenset()


class MailboxCollector:
    """Every mailbox whose purpose is this collector's name. Acknowledge each group before asking for more."""

    name: ClassVar[str]
    Settings: ClassVar[type[CollectorSettings]] = MailboxSettings
    measures: ClassVar[frozenset[str]] = MEASURES | {"mailbox_read"}

    def __init__(self, settings: MailboxSettings) -> None:
        self.settings = settings

    def collect(self, context: Context, now: datetime) -> Iterator[Batch]:
        """The batches of each mail, then one per mailbox with its cursor and whether it could be read."""
        failures: list[CollectorError] = []
        mailboxes = context.mailboxes(self.name)
        for mailbox in mailboxes:
            if context.stopping():
                return
            failure = yield from self._read(mailbox, context, now)
            if failure is not None:
                failures.append(failure)
        if mailboxes and len(failures) == len(mailboxes):
            raise CollectorError(failures[0].reason, "; ".join(failure.text for failure in failures))

    def watch(self, context: Context, stop: threading.Event) -> Iterator[None]:
        """Yields when mail arrives in any mailbox; one out of reach is tried again, ever more slowly."""
        news, ended = threading.Event(), threading.Event()
        listeners = [threading.Thread(target=listen, args=(mailbox, news, ended), daemon=True,
                                      name=f"watch-{mailbox.name}")
                     for mailbox in context.mailboxes(self.name)[:self.settings.max_watched]]
        for listener in listeners:
            listener.start()
        try:
            while not stop.is_set():
                if news.wait(0.5) and not stop.is_set():
                    news.clear()
                    yield
        finally:
            ended.set()
            ends_at = time.monotonic() + PATIENCE  # one that hangs while connecting dies with the process
            for listener in listeners:
                listener.join(max(0.0, ends_at - time.monotonic()))

    def _read(self, mailbox: Mailbox, context: Context,
              now: datetime) -> Generator[Batch, None, CollectorError | None]:
        failure: CollectorError | None = None
        client = MailboxClient(mailbox)
        try:
            with client:
                cursor = context.cursor(mailbox.name)
                yield from in_groups(self._batches(client, cursor, context, now))
        except CollectorError as error:
            failure = error
        yield Batch(
            source=self.name, key=f"mailbox:{mailbox.name}:{now.isoformat()}", at=now,
            observations=(was_read(mailbox.name, now, failure),),
            cursor_name=mailbox.name if client.uidvalidity else None,
            cursor=client.cursor if client.uidvalidity else None)
        return failure

    def _batches(self, client: MailboxClient, cursor: Mapping[str, Any] | None, context: Context,
                 now: datetime) -> Iterator[Batch]:
        letters = client.letters(cursor, self.settings.max_mails, self.settings.max_mail_bytes)
        for group in _groups(letters):
            arrivals = [self._arrival(letter, client.mailbox, now) for letter in group]
            for letter, (_, (*batches, last)) in zip(group, read_together(arrivals, context, self.settings), strict=True):
                yield from batches  # the last one acknowledges the mail
                yield replace(last, acknowledge=partial(client.park if last.parked else client.finish, letter.uid))
                if context.stopping():
                    return

    def _arrival(self, letter: Letter, mailbox: Mailbox, now: datetime) -> Arrival:
        return Arrival(
            letter.raw, f"{mailbox.name}/{mailbox.folder}/{letter.uid}", min(letter.received_at, now), Purpose(self.name),
            mailbox.provider, None if letter.whole else letter.size,
            mailbox.name in self.settings.trusted_mailboxes)


def _groups(letters: Iterator[Letter]) -> Iterator[list[Letter]]:
    """Mails to be looked up together, bounded in number and bytes; those before an error are not lost by it."""
    group: list[Letter] = []
    size = 0
    try:
        for letter in letters:
            group.append(letter)
            size += len(letter.raw)
            if len(group) >= MAILS_TOGETHER or size >= BYTES_TOGETHER:
                yield group
                group, size = [], 0
    except CollectorError:
        if group:
            yield group
        raise
    if group:
        yield group


def was_read(name: str, now: datetime, failure: CollectorError | None) -> Observation:
    """Whether a mailbox or folder could be read, and why not: 0 is known, as a refusal or a silent server is.

    Unknown is only what a fault of our own keeps us from knowing.
    """
    value = 1.0 if failure is None else None if failure.reason is Reason.INTERNAL else 0.0
    return Observation(
        "mailbox_read", Subject(mailbox=name), now, value, reason=failure.reason if failure and value is None else None,
        detail=ReadFailure(failure.reason.value, failure.text).encode() if failure else {})


def listen(mailbox: Mailbox, news: threading.Event, ended: threading.Event) -> None:
    """Sets `news` at each arrival until `ended`; nothing that goes wrong here ends the watch."""
    pause = FIRST_PAUSE
    while not ended.is_set():
        try:
            for _ in arrivals(mailbox, ended):
                pause = FIRST_PAUSE
                news.set()
        except CollectorError as error:
            log.warning("watching %s: %s", mailbox.name, error)
            if error.reason is Reason.AUTH:  # knocking again and again locks accounts
                pause = LONGEST_PAUSE
        except Exception:
            log.exception("watching %s", mailbox.name)
        ended.wait(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
