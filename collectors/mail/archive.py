"""Unpacking report attachments: gzip, zip or bare, known by their first bytes and never by name or type.

Receivers name gzip `.zip`, append bytes after the gzip stream, wrap archives in archives. Output is bounded
before it is made: a bomb costs no more than the bound.
"""

from __future__ import annotations

import io
import zipfile
import zlib

from collectors.mail.mime import LIMITS

GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
_MOST_MEMBERS, _DEEPEST = 20, 2
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})  # the others unpack in one piece of any size


class UnreadableError(Exception):
    """Why a document gives nothing; ends as the report's `error`."""


def is_packed(data: bytes) -> bool:
    return data.startswith((GZIP, ZIP))


def unpack(data: bytes, most: int = LIMITS.decoded, depth: int = 0) -> bytes:
    """The document inside, or the data itself when it is no archive. Raises UnreadableError."""
    if not is_packed(data):
        return data
    if depth >= _DEEPEST:
        raise UnreadableError("an archive in an archive in an archive")
    inside = _gunzip(data, most) if data.startswith(GZIP) else _unzip(data, most)
    return unpack(inside, most, depth + 1)


def _gunzip(data: bytes, most: int) -> bytes:
    found: list[bytes] = []
    for _ in range(_MOST_MEMBERS):  # members may follow one another; what else follows is ignored
        stream = zlib.decompressobj(wbits=31)
        try:
            found.append(stream.decompress(data, most + 1))
        except zlib.error as wrong:
            raise UnreadableError(f"broken gzip: {wrong}") from None
        most -= len(found[-1])
        if most < 0:
            raise UnreadableError("unpacks to more than the bound")
        data = stream.unused_data
        if not data.startswith(GZIP):
            break  # also when it was cut off: the document's reader says whether enough is there
    return b"".join(found)


def _unzip(data: bytes, most: int) -> bytes:
    if data.count(b"PK\x01\x02") > _MOST_MEMBERS:  # before zipfile makes an object of each
        raise UnreadableError("holds more files than the bound")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [one for one in archive.infolist() if not one.filename.endswith("/")]
            if any(one.compress_type not in _METHODS for one in members):
                raise UnreadableError("packed in a way that cannot be bounded")
            if sum(one.file_size for one in members) > most:
                raise UnreadableError("unpacks to more than the bound")
            for member in sorted(members, key=_is_no_document):
                with archive.open(member) as file:
                    inside = file.read(most + 1)
                if len(inside) > most:
                    raise UnreadableError("unpacks to more than the bound")
                return inside
    except (zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, OSError, EOFError) as wrong:
        raise UnreadableError(f"broken zip: {wrong}") from None
    raise UnreadableError("an empty zip")


def _is_no_document(member: zipfile.ZipInfo) -> bool:
    name = member.filename.lower()
    return name.startswith("__macosx/") or not name.endswith((".xml", ".json", ".gz"))
