"""Unpacking report attachments: gzip, zip or bare, known by their first bytes and never by name or type.

Receivers name gzip `.zip`, append bytes after the gzip stream, chain gzip members (RFC 1952 2.2), put several
reports into one zip, wrap archives in archives. Everything is unpacked in small steps against one `Budget` of
bytes and members, so an archive costs no more than the budget, whatever it claims to hold.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from collectors.mail.mime import LIMITS
from collectors.mail.payload import DOCUMENT

GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
MOST_MEMBERS = 200
MOST_RECORDS = 100_000
_DEEPEST = 2
_STEP = 65_536
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})  # the others unpack in one piece of any size
_ENTRY = b"PK\x01\x02"


class UnreadableError(Exception):
    """Why a document gives nothing; ends as the report's `error`."""


@dataclass(slots=True)
class Budget:
    """What may still be unpacked and read: of one mail, or of one file. Raises UnreadableError when it is spent."""

    bytes: int = LIMITS.decoded
    members: int = MOST_MEMBERS
    records: int = MOST_RECORDS

    def spend(self, size: int) -> None:
        self.bytes -= size
        if self.bytes < 0:
            raise UnreadableError("unpacks to more than the bound")

    def read(self, records: int) -> None:
        self.records -= records
        if self.records < 0:
            raise UnreadableError("more records than the bound")

    def enter(self, members: int = 1) -> None:
        self.members -= members
        if self.members < 0:
            raise UnreadableError("holds more files than the bound")


def is_packed(data: bytes) -> bool:
    return data.startswith((GZIP, ZIP))


def unpack(data: bytes, budget: Budget, depth: int = 0) -> Iterator[bytes]:
    """The documents inside, or the data itself when it is no archive. Raises UnreadableError."""
    if not is_packed(data):
        yield data
        return
    if depth >= _DEEPEST:
        raise UnreadableError("an archive in an archive in an archive")
    for inside in (gunzip(data, budget),) if data.startswith(GZIP) else _unzip(data, budget):
        yield from unpack(inside, budget, depth + 1)


def gunzip(data: bytes, budget: Budget) -> bytes:
    """All members of a gzip file, joined. What is no gzip after the first is left out, as by gzip itself.

    Also what was cut off: the document's reader says whether enough is there. Raises UnreadableError.
    """
    unpacked = bytearray()
    at = 0
    while data.startswith(GZIP, at):
        budget.enter()
        at = _member(data, at, unpacked, budget)
    return bytes(unpacked)


def _member(data: bytes, at: int, unpacked: bytearray, budget: Budget) -> int:
    """Unpack the member that begins at `at`; where it ends."""
    stream = zlib.decompressobj(wbits=31)
    while not stream.eof and at < len(data):
        packed = data[at : at + _STEP]
        at += len(packed)
        while packed and not stream.eof:
            try:
                piece = stream.decompress(packed, _STEP)
            except zlib.error as error:
                raise UnreadableError(f"broken gzip: {error}") from None
            budget.spend(len(piece))
            unpacked += piece
            packed = stream.unconsumed_tail
    return at - len(stream.unused_data)


def _unzip(data: bytes, budget: Budget) -> Iterator[bytes]:
    budget.enter(data.count(_ENTRY))  # before zipfile makes an object of each
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [member for member in archive.infolist() if not _is_no_document(member)]
            if not members:
                raise UnreadableError("an empty zip")
            if any(member.compress_type not in _METHODS for member in members):
                raise UnreadableError("packed in a way that cannot be bounded")
            if sum(member.file_size for member in members) > budget.bytes:
                raise UnreadableError("unpacks to more than the bound")
            any_named = any(map(_is_named, members))
            for member in members:
                inside = _read(archive, member, budget)
                if not any_named or _is_named(member) or DOCUMENT.match(inside):  # else a readme beside the report
                    yield inside
    except (zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, OSError, EOFError) as error:
        raise UnreadableError(f"broken zip: {error}") from None


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, budget: Budget) -> bytes:
    unpacked = bytearray()
    with archive.open(member) as file:
        while piece := file.read(_STEP):
            budget.spend(len(piece))
            unpacked += piece
    return bytes(unpacked)


def _is_no_document(member: zipfile.ZipInfo) -> bool:
    return member.filename.endswith("/") or member.filename.lower().startswith("__macosx/")


def _is_named(member: zipfile.ZipInfo) -> bool:
    return member.filename.lower().endswith((".xml", ".json", ".gz", ".zip"))
