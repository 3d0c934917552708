"""Mails that other programs lay down: Maildir folders, folders of one file per mail, mbox files.

Asks folders on this machine. A mail is moved after its facts are committed: in a Maildir from `new` to
`cur`, in a folder of files to `done` beside it; what could not be used goes to `parked` (in a Maildir: to `cur`,
flagged). An mbox is never written to: the cursor remembers how far it was read, and begins anew where the file
was replaced. As everywhere the same mail counts once, so a crash only makes mails be offered again.

A file just being written is left for the next turn; writers should write beside and rename. Names
that begin with a dot or end in .tmp or .part are left alone. May be wrong about an mbox
whose writer pauses for longer than `settle` within one mail.
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, BinaryIO, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from collectors.contract import CollectorError, CollectorSettings, Context, Purpose, Reason
from collectors.observation import Batch, Parked, in_groups
from collectors.report_mail.facts import MEASURES, SOURCE, Arrival, MailSettings, arrived_at, read
from collectors.report_mail.mail_files import NotAFileError, Piece, in_mbox, mark, opened, whole_file
from collectors.report_mail.mail_source import was_read

FINISHED, PARKED = "done", "parked"  # folders beside the mails; in a Maildir both are `cur`
MAILDIR_FLAGS = {FINISHED: ":2,S", PARKED: ":2,FS"}
NOT_YET = (".tmp", ".part")
SETTLE = timedelta(seconds=5)
CURSOR_EVERY = 500  # mails of an mbox between two cursors


def _from_configuration(path: Path, info: ValidationInfo) -> Path:
    """Paths are as seen from the configuration's own folder."""
    return info.context / path if isinstance(info.context, Path) else path


class DropFolder(BaseModel):
    """One place to look; `purpose` and `provider` are those of a mailbox of the inventory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    path: Annotated[Path, AfterValidator(_from_configuration)]
    kind: Literal["maildir", "files", "mbox"] = "maildir"
    purpose: Purpose = Purpose.FEEDBACK_LOOP
    provider: str | None = None


class MailDropSettings(MailSettings):
    every: timedelta = timedelta(minutes=1)
    folders: tuple[DropFolder, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> MailDropSettings:
        names = [folder.name for folder in self.folders]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two folders are named {min(twice)} — give each its own name")
        return self


class MailDrop:
    """Every folder of its settings. Acknowledge each group before asking for more."""

    name: ClassVar[str] = "mail_drop"
    Settings: ClassVar[type[CollectorSettings]] = MailDropSettings
    measures: ClassVar[frozenset[str]] = MEASURES | {"mailbox_read"}

    def __init__(self, settings: MailDropSettings) -> None:
        self.settings = settings

    def collect(self, context: Context, now: datetime) -> Iterator[Batch]:
        """The batches of each mail, then one per folder with whether it could be read, and how far."""
        failures: list[CollectorError] = []
        for folder in self.settings.folders:
            if context.stopping():
                return
            look = self._mbox if folder.kind == "mbox" else self._files
            failure: CollectorError | None = None
            try:
                yield from in_groups(look(folder, context, now))
            except CollectorError as error:
                failure = error
            except OSError as error:
                failure = CollectorError(_reason(error), f"{folder.name}: {error}")
            if failure is not None:
                failures.append(failure)
            yield Batch(self.name, f"folder:{folder.name}:{now.isoformat()}", now,
                        (was_read(folder.name, now, failure),))
        if failures and len(failures) == len(self.settings.folders):
            raise CollectorError(failures[0].reason, "; ".join(failure.text for failure in failures))

    def _files(self, folder: DropFolder, context: Context, now: datetime) -> Generator[Batch]:
        """Mails in files of their own. One that may not be opened stays, and the folder says so at the end."""
        source, move = places_of(folder)
        shut: list[str] = []
        for name in waiting(source, self.settings.max_mails):
            path = source / name
            try:
                if folder.kind == "files" and not _is_settled(path, now):
                    continue
                piece = whole_file(path, self.settings.max_mail_bytes)
            except FileNotFoundError:
                continue  # somebody else took it
            except NotAFileError as error:
                batches: tuple[Batch, ...] = (_not_a_mail(folder, path, str(error), now),)
            except OSError as error:
                shut.append(f"{name}: {error.strerror}")
                continue
            else:
                batches = self._batches(folder, context, piece, name, now)
            yield from batches[:-1]
            last = batches[-1]
            yield replace(last, acknowledge=partial(move, name, PARKED if last.parked else FINISHED))
            if context.stopping():
                return
        if shut:
            raise CollectorError(
                Reason.REFUSED, f"{folder.name}: {len(shut)} files cannot be read, the first {shut[0]}")

    def _mbox(self, folder: DropFolder, context: Context, now: datetime) -> Generator[Batch]:
        try:
            file = opened(folder.path)
        except NotAFileError as error:
            raise CollectorError(Reason.REFUSED, f"{folder.name}: {folder.path} is {error}") from None
        with file:
            offset = _resumed(file, context.cursor(folder.name))
            still, size = _is_settled(folder.path, now), os.fstat(file.fileno()).st_size
            pieces = in_mbox(file, offset, self.settings.max_mail_bytes)
            for number, piece in enumerate(pieces, 1):
                if piece.end >= size and not still:
                    break
                yield from self._batches(folder, context, piece, f"{offset}", now)
                offset, after = piece.end, file.tell()
                if number % CURSOR_EVERY == 0:
                    yield self._read_so_far(folder, {"offset": offset, "mark": mark(file, offset)}, now)
                    file.seek(after)
                if context.stopping() or number >= self.settings.max_mails:
                    break
            yield self._read_so_far(folder, {"offset": offset, "mark": mark(file, offset)}, now)

    def _batches(self, folder: DropFolder, context: Context, piece: Piece, where: str,
                 now: datetime) -> tuple[Batch, ...]:
        arrival = Arrival(piece.raw, f"{folder.name}/{where}", arrived_at(piece.raw, now), folder.purpose,
                          folder.provider, piece.size)
        return read(arrival, context, self.settings)[1]

    def _read_so_far(self, folder: DropFolder, cursor: dict[str, object], now: datetime) -> Batch:
        return Batch(self.name, f"mbox:{folder.name}:{now.isoformat()}:{cursor['offset']}", now,
                     cursor_name=folder.name, cursor=cursor)


def waiting(folder: Path, limit: int) -> list[str]:
    """The first names of a folder, sorted; none of those that are not for us yet."""
    with os.scandir(folder) as entries:
        names = (entry.name for entry in entries
                 if not entry.name.startswith(".") and not entry.name.endswith(NOT_YET)
                 and not entry.is_dir(follow_symlinks=False))
        return heapq.nsmallest(limit, names)


def places_of(folder: DropFolder) -> tuple[Path, Callable[[str, str], None]]:
    """Where mails wait, and what moves one away. Raises where none could be moved: they would come for ever."""
    maildir = folder.kind == "maildir"
    source = folder.path / "new" if maildir else folder.path
    targets = {what: folder.path / ("cur" if maildir else what) for what in (FINISHED, PARKED)}
    if not source.is_dir():
        raise CollectorError(Reason.NOT_FOUND, f"{folder.name}: no folder {source}")
    for target in targets.values():
        target.mkdir(exist_ok=True)
    for place in (source, *targets.values()):
        if not os.access(place, os.W_OK | os.X_OK):
            raise CollectorError(Reason.REFUSED, f"{folder.name}: mails cannot be moved in {place}")

    def move(name: str, what: str) -> None:
        target = targets[what] / (name.partition(":")[0] + MAILDIR_FLAGS[what] if maildir else name)
        number = 0
        while target.exists() or target.is_symlink():
            number += 1
            target = target.with_name(f"{number}-{target.name}")
        with contextlib.suppress(FileNotFoundError):  # somebody else took it, which is all that was wanted
            (source / name).rename(target)

    return source, move


def _is_settled(path: Path, now: datetime) -> bool:
    return abs(now - datetime.fromtimestamp(path.lstat().st_mtime, UTC)) >= SETTLE


def _resumed(file: BinaryIO, cursor: Mapping[str, Any] | None) -> int:
    """Where to read on; at the beginning of a file that is not the one known."""
    offset = int(cursor.get("offset", 0)) if cursor else 0
    return offset if cursor and cursor.get("mark") == mark(file, offset) else 0


def _not_a_mail(folder: DropFolder, path: Path, what: str, now: datetime) -> Batch:
    """A link or pipe among the mails: its name is all there is of it."""
    place = f"{folder.name}/{path.name}"
    key = hashlib.sha256(f"{place} {path.lstat().st_mtime_ns}".encode("utf-8", "surrogateescape")).hexdigest()
    return Batch(SOURCE, f"parked:{Reason.REFUSED}:{key}", now,
                 parked=(Parked(place, Reason.REFUSED, what, b""),))


def _reason(error: OSError) -> Reason:
    return Reason.NOT_FOUND if isinstance(error, FileNotFoundError | NotADirectoryError) else Reason.REFUSED
