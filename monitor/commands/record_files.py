"""Files of records as they lie on disk: plain, gzip or Zstandard by their content; of a cut one what decompresses is read."""

from __future__ import annotations

import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, BinaryIO

from collectors.delivery.counting import LONGEST_RECORD
from collectors.delivery.formats import Numbered, Records
from monitor.commands.failing import Failure

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_PIECE = 256 * 1024


def records_in(file: BinaryIO, records: Records, many: int) -> Iterator[list[Numbered]]:
    """Numbered records, so many at a time."""
    whole = records(enumerate(_lines(file), 1))
    while chunk := list(islice(whole, many)):
        yield chunk


def chunks_of(file: BinaryIO, many: int) -> Iterator[list[bytes]]:
    """Lines, so many at a time; a longer one than a record may be comes in pieces."""
    lines = _lines(file)
    while chunk := list(islice(lines, many)):
        yield chunk


def written_at(file: BinaryIO) -> datetime:
    """When the file was written last, which gives the year of times that have none; of a pipe, now."""
    try:
        status = os.fstat(file.fileno())
    except (OSError, ValueError):
        return datetime.now(UTC)
    return datetime.fromtimestamp(status.st_mtime, UTC) if stat.S_ISREG(status.st_mode) else datetime.now(UTC)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    buffered = file if isinstance(file, io.BufferedReader) else io.BufferedReader(_Raw(file))
    start = buffered.peek(4)[:4]
    if start.startswith(_GZIP):
        plain: Any = io.BufferedReader(_Cut(gzip.GzipFile(fileobj=buffered)))
    elif start == _ZSTD:
        plain = io.BufferedReader(_Cut(_zstd(buffered)))
    else:
        plain = buffered
    return iter(lambda: plain.readline(LONGEST_RECORD + 2), b"")


def _zstd(file: BinaryIO) -> Any:
    try:
        import zstandard  # noqa: PLC0415 - a few users have such files
    except ImportError:
        raise Failure(2, "this is a Zstandard file: install the package zstandard, or pipe it through zstdcat") from None
    return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)


class _Raw(io.RawIOBase):
    """Standard input as something that can be looked into."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Cut(io.RawIOBase):
    """What decompresses of a file whose writer died, or is still at it."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._over:
            return 0
        try:
            data = self._file.read(min(len(buffer), _PIECE))
        except (EOFError, OSError, zlib.error) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            data = b""
        except Exception as error:
            if type(error).__name__ != "ZstdError":
                raise
            data = b""
        self._over = not data
        buffer[: len(data)] = data
        return len(data)
