"""Bodies of mails and other input as they are kept: compressed with zlib, read no further than somebody asks for."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_PIECE = 1 << 20  # bytes in memory at once while a body is searched


def packed(body: bytes) -> bytes:
    return zlib.compress(body)


def unpacked(kept: bytes) -> bytes:
    return zlib.decompress(kept)


def beginning(kept: bytes, most: int) -> bytes:
    """The first `most` bytes of a body; whoever knows its size has all of it, and never more."""
    return zlib.decompressobj().decompress(kept, most) if most > 0 else b""


def holds(kept: bytes, wanted: tuple[bytes, ...]) -> bool:
    """Whether one of these, written in lower case, stands in a body, whatever its case. What is no zlib is searched as it is."""
    overlap = max(map(len, wanted)) - 1
    before = b""
    for piece in _pieces(kept):
        text = before + piece.lower()
        if any(each in text for each in wanted):
            return True
        before = text[-overlap:] if overlap else b""
    return False


def _pieces(kept: bytes) -> Iterator[bytes]:
    reader = zlib.decompressobj()
    try:
        while kept and not reader.eof:
            yield reader.decompress(kept, _PIECE)
            kept = reader.unconsumed_tail
    except zlib.error:
        yield kept
