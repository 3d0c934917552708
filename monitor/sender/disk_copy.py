"""What a sender knows, on the disk for its next start: one file, replaced whole, for nobody's eyes but its own.

The first line is a digest of the second with the sender's key, so that a file that is damaged, cut short, or of another key
counts as none. The second is JSON: the snapshot, the place in the stream, and when the service was last heard.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import tempfile
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from monitor.sender.known import FormatError, Known, instant

_LAYOUT = 1
_MOST_BYTES = 512 * 1024 * 1024


class Copy(NamedTuple):
    known: Known
    heard_at: datetime
    written_at: datetime


class DiskCopy:
    """The copy of one sender."""

    def __init__(self, path: Path, key: str) -> None:
        self.path, self._key = path, key.encode("utf-8", "surrogatepass")

    def read(self, now: datetime) -> Copy | None:
        """None where there is none that can be used."""
        try:
            if self.path.stat().st_size > _MOST_BYTES:
                return None
            digest, _, text = self.path.read_bytes().partition(b"\n")
            if not hmac.compare_digest(digest, self._digest(text)):
                return None
            data = json.loads(text)
            if data["layout"] != _LAYOUT:
                return None
            known = Known.of_snapshot(data["snapshot"], data["place"], now)
            return Copy(known, instant(data["heard_at"]), instant(data["written_at"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError, FormatError):
            return None

    def write(self, known: Known, heard_at: datetime, now: datetime) -> None:
        """Replace it whole; a crash leaves the old one. Raises OSError."""
        text = json.dumps({
            "layout": _LAYOUT, "written_at": now.isoformat(), "heard_at": heard_at.isoformat(), "place": known.place,
            "snapshot": known.as_snapshot(),
        }).encode()
        handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self._digest(text) + b"\n" + text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise

    def _digest(self, text: bytes) -> bytes:
        return hmac.new(self._key, b"vigie sender copy\0" + text, "sha256").hexdigest().encode()
