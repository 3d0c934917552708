"""Mails in files: Maildir folders, mbox files (RFC 4155, mboxrd quoting), files of one mail each.

Files are opened without following links and without waiting (a FIFO would), and only so much of a mail is
held as is looked at. May be wrong in an mbox whose writer does not quote `From ` lines: a mail is split there.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

HEAD_BYTES = 65_536  # what is kept of a mail that is too large
MARK_BYTES = 1024
_LINE = 65_536
_QUOTED = re.compile(rb">+From ")
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotAFileError(Exception):
    """A symbolic link, a directory, a pipe: nothing a mail is read from."""


class Piece(NamedTuple):
    """One mail. `size` is set where `raw` is only its beginning; `end` is where the next one begins."""

    raw: bytes
    size: int | None
    end: int


def opened(path: Path) -> BinaryIO:
    """A regular file, open. Raises NotAFileError or OSError."""
    if path.is_symlink():  # distinguished from ELOOP further up the path, which is an OSError
        raise NotAFileError("a symbolic link")
    file = os.fdopen(os.open(path, _FLAGS), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise NotAFileError("no regular file")
    return file


def whole_file(path: Path, max_bytes: int) -> Piece:
    """The one mail a file is."""
    with opened(path) as file:
        raw = file.read(max_bytes + 1)
        if len(raw) <= max_bytes:
            return Piece(raw, None, len(raw))
        size = max(os.fstat(file.fileno()).st_size, len(raw))
        return Piece(raw[:min(HEAD_BYTES, max_bytes)], size, size)


def in_mbox(file: BinaryIO, offset: int, max_bytes: int) -> Iterator[Piece]:
    """The mails from `offset` on, which stands at a `From ` line. Whether the last one is whole is not known."""
    file.seek(offset)
    kept, size, started = bytearray(), 0, False
    position, new_line, after_blank = offset, True, True
    while line := file.readline(_LINE):
        if new_line and after_blank and line.startswith(b"From "):
            if started:
                yield _piece(kept, size, position, max_bytes)
            kept, size, started = bytearray(), 0, True
        elif started:
            unquoted = line[1:] if new_line and _QUOTED.match(line) else line
            size += len(unquoted)
            if len(kept) <= max_bytes:
                kept += unquoted
        position += len(line)
        after_blank = new_line and line in {b"\n", b"\r\n"}
        new_line = line.endswith(b"\n")
    if started:
        yield _piece(kept, size, position, max_bytes)


def _piece(kept: bytearray, size: int, end: int, max_bytes: int) -> Piece:
    if size <= max_bytes:
        return Piece(bytes(kept), None, end)
    return Piece(bytes(kept[:min(HEAD_BYTES, max_bytes)]), size, end)


def mark(file: BinaryIO, offset: int) -> str:
    """What stands at the beginning and before `offset`, by which a file that was replaced is recognised."""
    file.seek(0)
    beginning = file.read(min(offset, MARK_BYTES))
    file.seek(max(0, offset - MARK_BYTES))
    return hashlib.sha256(beginning + file.read(min(offset, MARK_BYTES))).hexdigest()


def is_mbox(path: Path) -> bool:
    with opened(path) as file:
        return file.read(5) == b"From "


def is_maildir(path: Path) -> bool:
    return (path / "new").is_dir() and (path / "cur").is_dir()


def below(path: Path) -> Iterator[Path]:
    """Every file that may be a mail, in and below a folder; of Maildirs what was delivered, seen or not."""
    with os.scandir(path) as entries:
        children = sorted(entries, key=lambda entry: entry.name)
    maildir = is_maildir(path)
    for entry in children:
        if entry.is_dir(follow_symlinks=False) and entry.name != "tmp":
            yield from below(path / entry.name)
        elif entry.is_file(follow_symlinks=False) and not maildir and not entry.name.startswith("."):
            yield path / entry.name
