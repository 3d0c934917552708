"""`vigie mail replay`: mails from files the whole way, as if their mailbox had been read."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from collectors.mail import Report
from collectors.mail.mime import LIMITS
from collectors.observation import Batch
from collectors.report_mail.facts import arrived_at
from collectors.report_mail.mail_files import (
    NotAFileError,
    Piece,
    below,
    in_mbox,
    is_mbox,
    opened,
    whole_file,
)
from monitor.app import Application
from monitor.commands.failing import Failure
from monitor.commands.printing import json_option, print_json
from monitor.commands.service import prepared_application
from monitor.commands.stored import config_option
from monitor.intake.mail import Brought
from monitor.intake.wire import MailCounts

MAILS_AT_ONCE = 200
BYTES_AT_ONCE = 16_000_000
PROGRESS_EVERY = 1_000


@click.command("replay")
@click.argument("paths", metavar="FOLDER|FILE…", nargs=-1, required=True,
                type=click.Path(exists=True, path_type=Path))
@click.option("--source", default="feedback_loop", show_default=True,
              help="A mailbox of the inventory, or feedback_loop, bounces, dmarc_reports, abuse.")
@config_option
@json_option
def replay(paths: tuple[Path, ...], source: str, config_file: Path, *, as_json: bool) -> None:
    """Count what lies in Maildirs, mbox files, folders and files of mails. Nothing is moved; twice counts once.

    Mails are dated by their topmost Received. What they change is judged by the running service, or here.
    """
    with prepared_application(config_file) as application:
        counts, unread = Replay(application, source).run(paths)
        application.judge_once()
    for kind, count in sorted(counts.items()):
        if as_json:
            print_json(MailCounts(kind=kind, **count))
        else:
            click.echo(f"{kind:16} " + ", ".join(f"{number:,} {what}" for what, number in count.items()))
    if unread:
        sys.exit(1)


class Replay:
    """One replay: what is taken so far, by kind."""

    def __init__(self, application: Application, source: str) -> None:
        self._application = application
        self._source = source
        self._waiting: list[Brought] = []
        self._bytes = 0
        self._mails = 0
        self._counts: dict[str, Counter[str]] = {}

    def run(self, paths: tuple[Path, ...]) -> tuple[dict[str, Counter[str]], int]:
        """Counts by kind, and how many files could not be read."""
        unread = 0
        for path in _files(paths):
            try:
                for number, piece in enumerate(_mails(path), 1):
                    self._add(piece, f"{path}:{number}")
            except (NotAFileError, OSError) as error:
                unread += 1
                click.echo(f"{path}: {getattr(error, 'strerror', None) or error}", err=True)
        self._flush()
        click.echo(f"{self._mails:,} mails", err=True)
        return self._counts, unread

    def _add(self, piece: Piece, where: str) -> None:
        received_at = arrived_at(piece.raw, self._application.clock())
        self._waiting.append(Brought(piece.raw, where, received_at, piece.size))
        self._bytes += len(piece.raw)
        self._mails += 1
        if len(self._waiting) >= MAILS_AT_ONCE or self._bytes >= BYTES_AT_ONCE:
            self._flush()
        if self._mails % PROGRESS_EVERY == 0:
            click.echo(f"{self._mails:,} mails", err=True)

    def _flush(self) -> None:
        made = [(report.kind, batches) for report, batches in self._read()]
        taken = iter(self._application.take([batch for _, batches in made for batch in batches]))
        for kind, batches in made:
            of_mail = [next(taken) for _ in batches]
            count = self._counts.setdefault(kind, Counter(mails=0, repeated=0, parked=0))
            count["mails"] += 1
            count["repeated"] += not any(each.new for each in of_mail)
            count["parked"] += any(each.batch.parked for each in of_mail)
        self._waiting, self._bytes = [], 0

    def _read(self) -> Iterator[tuple[Report, tuple[Batch, ...]]]:
        try:
            return self._application.mail.read_together(self._waiting, self._source)
        except LookupError as error:
            raise Failure(2, f"--source: {error}") from None


def _files(paths: tuple[Path, ...]) -> Iterator[Path]:
    for path in paths:
        yield from below(path) if path.is_dir() else (path,)


def _mails(path: Path) -> Iterator[Piece]:
    if not is_mbox(path):
        yield whole_file(path, LIMITS.size)
        return
    with opened(path) as file:
        yield from in_mbox(file, 0, LIMITS.size)
