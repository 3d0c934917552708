"""Files as they hold their lines: plain, or gzip and Zstandard unpacked into a nameless file beside; recognised by content.

Of a file that is cut, or still being written, what unpacks is there.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import zstandard

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_PIECE = 1024 * 1024


@contextlib.contextmanager
def unpacked_file(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """The file, at its beginning, and its inode. Raises OSError."""
    with path.open("rb") as file:
        start, inode = file.read(4), os.fstat(file.fileno()).st_ino
        file.seek(0)
        stream: Any = None
        if start.startswith(_GZIP):
            stream = gzip.GzipFile(fileobj=file)
        elif start == _ZSTD:
            stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True, closefd=False)
        if stream is None:
            yield file, inode
            return
        with tempfile.TemporaryFile() as plain:
            with contextlib.suppress(EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError):
                shutil.copyfileobj(stream, plain, _PIECE)
            plain.seek(0)
            yield plain, inode


