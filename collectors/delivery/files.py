"""Files of records that are followed while they are written: MTA logs, accounting files, log segments.

Asks files on this machine; a path may hold `*`. How far each was read is a cursor, committed after the facts: a crash between the two
offers at most one group again, and each record counts once by its key. A file that was rotated away (renamed, or copied
and cut) is read to its end under its new name, also compressed; where it is nowhere to be found, the gap is parked. After
a restart the end of what was read is read once more, without counting it, so that later lines find their mails.

May be wrong: a file that is cut and grows beyond where it was, with the same beginning, is taken for the same; the last line of a file that
is never finished waits for its line break.
"""

from __future__ import annotations

import glob
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Annotated, ClassVar, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from collectors.contract import CollectorError, CollectorSettings, Context, Reason
from collectors.delivery.counting import LONGEST_RECORD, Whose, counted, records_of
from collectors.delivery.formats import FORMATS, Format
from collectors.delivery.outcomes import MEANINGS, Reading
from collectors.delivery.packed import unpacked_file
from collectors.observation import Batch, Parked

RECORDS_AT_ONCE = 5_000
READ_AGAIN = 4 * 1024 * 1024  # bytes before the cursor, for the mails that are on their way
MOST_FILES = 10_000
_HEAD = 512
FILES = "files"


class RecordContext(Context, Protocol):
    """What is asked of ours besides: whose mail a record was, and which records were counted before."""

    def whose(self, mapping: Mapping[str, str], sources: Mapping[str, str]) -> Whose: ...

    def known_records(self, keys: Sequence[int]) -> frozenset[int]: ...


def _from_configuration(path: Path, info: ValidationInfo) -> Path:
    """Paths are as seen from the configuration's own folder."""
    return info.context / path if isinstance(info.context, Path) else path


class FollowedFile(BaseModel):
    """`transports`: transport, virtual MTA, binding → the address it sends from. `mapping`: what names customer, stream, campaign."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Annotated[Path, AfterValidator(_from_configuration)]
    format: str
    transports: dict[str, str] = Field(default_factory=dict)
    mapping: dict[str, str] = Field(default_factory=dict)

    @field_validator("format")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in FORMATS:
            raise ValueError(f"no such format — one of {', '.join(FORMATS)}")
        return name


class FilesSettings(CollectorSettings):
    every: timedelta = timedelta(seconds=10)
    follow: tuple[FollowedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """How far a file was read: `head` is the hash of its first `head_size` bytes; both count bytes as unpacked."""

    inode: int
    offset: int
    head: str
    head_size: int

    @classmethod
    def of(cls, plain: IO[bytes], inode: int, offset: int) -> Place:
        plain.seek(0)
        head = plain.read(min(offset, _HEAD))
        plain.seek(offset)
        return cls(inode, offset, hashlib.sha256(head).hexdigest(), len(head))

    def is_in(self, plain: IO[bytes]) -> bool:
        """Whether this is the file, and it is still there as far as it was read."""
        plain.seek(0)
        begins = hashlib.sha256(plain.read(self.head_size)).hexdigest() == self.head
        return begins and plain.seek(0, os.SEEK_END) >= self.offset


@dataclass(slots=True)
class _Reader:
    reading: Reading
    offset: int = 0


class Files:
    """Every file of its settings. Keeps a reader for each between runs."""

    name: ClassVar[str] = FILES
    Settings: ClassVar[type[CollectorSettings]] = FilesSettings
    measures: ClassVar[frozenset[str]] = frozenset({meaning.measure for meaning in MEANINGS.values()} | {"hard_bounce"}) - {"complaint"}

    def __init__(self, settings: FilesSettings) -> None:
        self.settings = settings
        self._readers: dict[str, _Reader] = {}

    def collect(self, context: RecordContext, now: datetime) -> Iterator[Batch]:
        """Batches of records, and after each the cursor of its file. Raises CollectorError, after all others, for what cannot be read."""
        failures: list[str] = []
        for followed in self.settings.follow:
            paths = glob.glob(str(followed.path))  # noqa: PTH207 - of an absolute pattern
            if not paths and not glob.has_magic(str(followed.path)):
                failures.append(f"{followed.path}: no such file")
            for path in sorted(paths)[-MOST_FILES:]:
                try:
                    yield from _Following(followed, Path(path), self._readers, context, now).batches()
                except OSError as error:
                    failures.append(f"{path}: {error.strerror or error}")
                if context.stopping():
                    return
        if failures:
            raise CollectorError(Reason.NOT_FOUND, "; ".join(failures[:5]))


@dataclass(frozen=True, slots=True)
class _Following:
    """One file in one run."""

    followed: FollowedFile
    path: Path
    readers: dict[str, _Reader]
    context: RecordContext
    now: datetime

    def batches(self) -> Iterator[Batch]:
        stated = self.context.cursor(str(self.path))
        place = Place(**stated) if stated else None
        with unpacked_file(self.path) as (plain, inode):
            if place is not None and not self._is_here(plain, inode, place):
                yield from self._rest(place)
                place = None
            yield from self._read(plain, inode, place.offset if place else 0, finished=False)

    def _is_here(self, plain: IO[bytes], inode: int, place: Place) -> bool:
        """A log that was copied and cut keeps its inode, one that was renamed its beginning."""
        return inode == place.inode and place.is_in(plain)

    def _rest(self, place: Place) -> Iterator[Batch]:
        """What was written to the file that was here before after it was read last, wherever it is now."""
        others = [each for each in self.path.parent.glob(f"{glob.escape(self.path.name)}?*") if each.is_file()]
        for other in sorted(others, key=lambda each: -each.stat().st_mtime):
            with unpacked_file(other) as (plain, inode):
                if place.is_in(plain):
                    yield from self._read(plain, inode, place.offset, finished=True)
                    return
        text = f"it was replaced and is not found under another name: what was written after byte {place.offset:,} was not read"
        yield Batch(FILES, f"gap:{self.path}:{place.inode}:{place.offset}:{place.head[:16]}", self.now,
                    parked=(Parked(str(self.path), Reason.NOT_FOUND, text, b""),))  # fmt: skip

    def _read(self, plain: IO[bytes], inode: int, offset: int, *, finished: bool) -> Iterator[Batch]:
        shape, source = FORMATS[self.followed.format], f"events/{self.followed.format}"
        reader = self._reader(plain, shape, offset)
        reader.reading.begin(self._written_at(plain), goes_on=offset > 0)
        whose = self.context.whose(self.followed.mapping, self.followed.transports)
        plain.seek(offset)
        while records := _whole_records(plain, shape, finished=finished):
            lines = records_of(records, reader.reading, source)
            known = self.context.known_records([line.key for line in lines])
            batch = counted(
                lines, source=source, key=secrets.token_hex(16), now=self.now, providers=self.context.providers, whose=whose, known=known
            ).batch
            reader.offset = offset = plain.tell()
            yield replace(batch, together=True)
            place = Place.of(plain, inode, offset)
            yield Batch(FILES, f"read:{self.path}:{inode}:{offset}:{place.head[:16]}", self.now, cursor_name=str(self.path), cursor=asdict(place))
            if self.context.stopping():
                return

    def _written_at(self, plain: IO[bytes]) -> datetime:
        return datetime.fromtimestamp(os.fstat(plain.fileno()).st_mtime, UTC)

    def _reader(self, plain: IO[bytes], shape: Format, offset: int) -> _Reader:
        """The one that read up to here; else a new one, which reads what is before once more: a table's header, mails on their way."""
        known = self.readers.get(str(self.path))
        if known is not None and offset in (known.offset, 0):
            return known
        reader = self.readers[str(self.path)] = _Reader(shape.opened(), offset)
        if offset == 0:
            return reader
        reader.reading.begin(self._written_at(plain))
        plain.seek(0)
        again = [plain.readline(LONGEST_RECORD)]
        if offset - READ_AGAIN > plain.tell():
            plain.seek(offset - READ_AGAIN)
            plain.readline(LONGEST_RECORD)  # the end of a line
        while plain.tell() < offset and (line := plain.readline(LONGEST_RECORD)):
            again.append(line)
        for _, record in shape.records(enumerate(again)):
            reader.reading(record.strip())
        return reader


def _whole_records(plain: IO[bytes], shape: Format, *, finished: bool) -> list[tuple[int, bytes]]:
    """The next records that are there whole; leaves the file at their end."""
    start, lines = plain.tell(), list[bytes]()
    while len(lines) < RECORDS_AT_ONCE and (line := plain.readline(LONGEST_RECORD + 2)):
        if not line.endswith(b"\n") and not finished and len(line) <= LONGEST_RECORD:
            break  # it is being written
        lines.append(line)
    records = list(shape.records(enumerate(lines, 1)))
    if records and not finished and not shape.is_whole(records[-1][1]) and len(records[-1][1]) < LONGEST_RECORD:
        records.pop()  # so is its rest
    plain.seek(start + sum(len(record) for _, record in records))
    return records
