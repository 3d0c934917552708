"""Long lists of suppressions, line by line: read and written in pieces, so that millions take no more memory than a few.

The same shapes as `lines`; a JSON array or one object over several lines cannot be cut and is read whole, up to
MOST_IMPORTED entries.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO, cast

from monitor.suppressions.lines import (
    LONGEST_LINE,
    MOST_IMPORTED,
    Given,
    LineError,
    LinesError,
    csv_rows,
    json_line,
    read_lines,
    read_pairs,
)
from monitor.suppressions.rows import Suppressed

_PIECE = 20_000
_PEEK = 65_536
_BOM = b"\xef\xbb\xbf"

Piece = tuple[list[Suppressed], list[LineError]]


def read_stream(file: BinaryIO, given: Given) -> Iterator[Piece]:
    """What the lines say, a few thousand at a time. Raises LinesError for what is no list of suppressions."""
    buffered: Any = io.BufferedReader(cast("Any", file), _PEEK)
    try:
        yield from _pieces(buffered, given)
    finally:
        buffered.detach()  # the file stays its opener's to close


def _pieces(buffered: Any, given: Given) -> Iterator[Piece]:
    start = buffered.peek(_PEEK).removeprefix(_BOM).lstrip()
    if start[:1] == b"[" or (start[:1] == b"{" and json_line(start.partition(b"\n")[0]) is None):
        yield read_lines(buffered.read(), given, MOST_IMPORTED)
        return
    pairs = _json_lines(buffered) if start[:1] == b"{" else _csv_lines(buffered)
    nothing = True
    while piece := list(islice(pairs, _PIECE)):
        nothing = False
        yield read_pairs(piece, given)
    if nothing:
        raise LinesError("no suppressions in the body")


def _json_lines(file: BinaryIO) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), b""), 1):
        if len(line) > LONGEST_LINE:
            raise LinesError(f"line {number} is longer than {LONGEST_LINE:,} characters")
        if line.strip():
            yield number, json_line(line) or line.decode(errors="replace")


def _csv_lines(file: BinaryIO) -> Iterator[tuple[int, Any]]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig")
    rows = csv.reader(_text_lines(text))
    try:
        yield from csv_rows(rows)
    except csv.Error as error:
        raise LinesError(f"line {rows.line_num}: no CSV: {error}") from None
    except UnicodeDecodeError:
        raise LinesError(f"what follows line {rows.line_num} is not UTF-8") from None
    finally:
        text.detach()


def _text_lines(text: io.TextIOWrapper) -> Iterator[str]:
    for line in iter(lambda: text.readline(LONGEST_LINE + 1), ""):
        if len(line) > LONGEST_LINE:
            raise LinesError(f"a line is longer than {LONGEST_LINE:,} characters")
        yield line
