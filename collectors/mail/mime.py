"""The tree of a mail: bytes → parts, under hard bounds.

RFC 2045/2046 read as mail is found, not as it should be: boundaries that are declared wrongly, headers without
a blank line, `>From` lines on top of attached mails. Written on bytes and offsets because the standard library's
tolerant parser recurses without limit and its strict one is quadratic on hostile fields; both are cured
there by nothing a caller can set. Nothing here raises: what goes beyond a bound is left out and named in
`Part.cut`. Work is bounded by size x depth, so time is bounded too.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass

from collectors.mail import fields


@dataclass(frozen=True, slots=True)
class Limits:
    """What one mail may cost."""

    size: int = 25_000_000  # bytes as received
    decoded: int = 25_000_000  # bytes of anything unpacked from it
    fields: int = 1_000  # per header
    parts: int = 500  # in the whole tree
    depth: int = 25
    text: int = 200_000  # characters of one text part that are looked at


LIMITS = Limits()
_TAIL = re.compile(rb"(--)?[ \t]*(?:\r?\n|\Z)")
_GUESS = re.compile(rb"(?:\A|\n)--([^\s\r\n][^\r\n]{0,68}[^\s-])[ \t]*\r?\n(?:Content-|MIME-)", re.IGNORECASE)
_TYPE = re.compile(r"\s*([\w!#$&.+^-]+/[\w!#$&.+^-]+)")
_MAIL_TYPES = frozenset({
    "message/rfc822", "message/global", "message/rfc822-headers", "message/global-headers", "message/news",
    "text/rfc822-headers", "text/rfc822-header", "text/rfc822",
})


class Part:
    """One node: its fields, and either children (multipart, attached mail) or content."""

    __slots__ = ("_end", "_params", "_parts", "_said", "_start", "children", "cut", "data", "fields", "type")

    def __init__(self, data: bytes, start: int, end: int, found: fields.Fields) -> None:
        self.data = data
        self._start, self._end = start, end
        self.fields = found
        self.children: list[Part] = []
        self.cut: set[str] = set()
        self._params: dict[str, str] | None = None
        self._parts: tuple[Part, ...] | None = None
        self._said: dict[str, str] = {}
        declared = _TYPE.match(self.get("content-type")) if "content-type" in found else None
        self.type = declared[1].lower() if declared else "text/plain"

    def get(self, name: str) -> str:
        """The topmost value of a field, decoded; empty when it is not there."""
        said = self._said.get(name)
        if said is None:
            found = self.fields.get(name)
            said = self._said[name] = fields.text(found[0]) if found else ""
        return said

    def all(self, name: str) -> list[str]:
        """Every value of a field, topmost first (at most 100)."""
        return [fields.text(value) for value in self.fields.get(name, ())[:100]]

    @property
    def params(self) -> dict[str, str]:
        """Parameters of the Content-Type."""
        if self._params is None:
            value = self.get("content-type")
            self._params = fields.parameters(value) if ";" in value else {}
        return self._params

    @property
    def filename(self) -> str:
        """What the part calls itself, or empty."""
        value = self.get("content-disposition")
        return (fields.parameters(value).get("filename") if ";" in value else None) or self.params.get("name", "")

    @property
    def is_mail(self) -> bool:
        """Whether this part holds another mail (or its headers), which is then the only child."""
        return self.type in _MAIL_TYPES

    def raw(self) -> bytes:
        """The body as it was transferred."""
        return self.data[self._start : self._end]

    def content(self) -> bytes:
        """The body with its transfer encoding undone."""
        raw = self.raw()
        encoding = self.get("content-transfer-encoding").lower()
        if encoding == "base64":
            return fields.base64(raw)
        if encoding == "quoted-printable":
            return binascii.a2b_qp(raw)
        return raw

    def text(self, most: int = LIMITS.text) -> str:
        """The content as text, cut at `most` bytes before decoding, with bare line feeds."""
        said = fields.charset_text(self.content()[:most], self.params.get("charset"))
        return said.replace("\r\n", "\n") if "\r" in said else said

    @property
    def parts(self) -> tuple[Part, ...]:
        """The part and those below it, in order. Attached mails are listed, not entered: they are somebody else's."""
        if self._parts is None:
            below = () if self.is_mail else (part for child in self.children for part in child.parts)
            self._parts = (self, *below)
        return self._parts

    @property
    def attached(self) -> Part | None:
        """The first mail attached to this one."""
        return next((part.children[0] for part in self.parts if part.is_mail and part.children), None)


def read(data: bytes, limits: Limits = LIMITS) -> Part:
    """The tree of one mail. `data` beyond `limits.size` is not looked at."""
    if b"\n" not in data and b"\r" in data:
        data = data.replace(b"\r", b"\n")  # line ends of an old Macintosh
    walker = _Walker(limits)
    root = walker.mail(data, 0, min(len(data), limits.size), 0)
    if len(data) > limits.size:
        walker.cut.add("size")
    root.cut = walker.cut
    return root


class _Walker:
    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.left = limits.parts
        self.cut: set[str] = set()

    def mail(self, data: bytes, start: int, end: int, depth: int) -> Part:
        top = fields.MBOX_LINE.match(data, start, end)
        return self.part(data, top.end() if top else start, end, depth)

    def part(self, data: bytes, start: int, end: int, depth: int) -> Part:
        self.left -= 1
        found, body, cut = fields.split(data, start, end, self.limits.fields)
        if cut:
            self.cut.add("fields")
        part = Part(data, body, end, found)
        if depth >= self.limits.depth:
            if part.is_mail or part.type.startswith("multipart/"):
                self.cut.add("depth")
        elif part.type.startswith("multipart/"):
            self.pieces(part, body, end, depth)
        elif part.is_mail:
            self.enclosed(part, body, end, depth)
        return part

    def enclosed(self, part: Part, start: int, end: int, depth: int) -> None:
        coded = part.get("content-transfer-encoding").lower() in {"base64", "quoted-printable"}
        data, start, end = (part.content(), 0, -1) if coded else (part.data, start, end)
        part.children.append(self.mail(data, start, len(data) if end < 0 else end, depth + 1))

    def pieces(self, part: Part, start: int, end: int, depth: int) -> None:
        boundary = part.params.get("boundary", "").rstrip().encode("utf-8", "replace")
        spans = self.spans(part.data, start, end, boundary) if boundary else []
        if not spans and (guess := _GUESS.search(part.data, start, end)):
            spans = self.spans(part.data, start, end, guess[1])
        for first, last in spans:
            part.children.append(self.part(part.data, first, last, depth + 1))

    def spans(self, data: bytes, start: int, end: int, boundary: bytes) -> list[tuple[int, int]]:
        """Where the parts between the delimiter lines begin and end; the last may lack its closing line."""
        mark = b"--" + boundary
        found: list[tuple[int, int]] = []
        opened, position = -1, start
        while (at := data.find(mark, position, end)) >= 0:
            position = at + len(mark)
            tail = _TAIL.match(data, position, end) if at == start or data[at - 1] == 0x0A else None
            if tail is None:
                continue
            if opened >= 0:
                found.append((opened, _before(data, opened, at)))
            if tail[1]:
                return found
            if len(found) >= self.left:
                self.cut.add("parts")
                return found
            opened = position = tail.end()
        if opened >= 0:
            found.append((opened, end))
        return found


def _before(data: bytes, start: int, delimiter: int) -> int:
    """The end of a part: the line end before its delimiter belongs to the delimiter."""
    end = delimiter - 1
    if end > start and data[end - 1] == 0x0D:
        end -= 1
    return max(start, end)
