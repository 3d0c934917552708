"""The tree of a mail: bytes → parts, under hard bounds.

RFC 2045/2046 read as mail is found, not as it should be: boundaries that are declared wrongly, headers
without a blank line, `>From` lines on top of attached mails. Written on bytes and offsets because the
standard library's tolerant parser recurses without limit and its strict one is quadratic on hostile fields;
both are cured there by nothing a caller can set. Nothing here raises: what goes beyond a bound is left out
and named in `Part.cut`. A part is split when it is first looked into, so an attached mail costs its header
only. Work is bounded by size x depth, so time is bounded too.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from collectors.mail import fields


@dataclass(frozen=True, slots=True)
class Limits:
    """What one mail may cost."""

    size: int = 25_000_000  # bytes as received
    decoded: int = 16_000_000  # bytes of anything unpacked from it
    parts: int = 500  # in the whole tree
    depth: int = 25
    text: int = 200_000  # characters of one text part that are looked at


LIMITS = Limits()
_MOST_STRANGE = 100_000  # lines that begin as a delimiter and are none
_TAIL = re.compile(rb"(--)?[ \t]*(?:\r?\n|\Z)")
_GUESS = re.compile(rb"(?:\A|\n)--([^\s\r\n][^\r\n]{0,68}[^\s-])[ \t]*\r?\n(?:Content-|MIME-)", re.IGNORECASE)
_TYPE = re.compile(r"\s*([\w!#$&.+^-]+/[\w!#$&.+^-]+)")
_UUENCODED = frozenset({"x-uuencode", "uuencode", "x-uue", "uue"})
_MAIL_TYPES = frozenset({
    "message/rfc822", "message/global", "message/rfc822-headers", "message/global-headers", "message/news",
    "text/rfc822-headers", "text/rfc822-header", "text/rfc822",
})


@dataclass(slots=True)
class _Budget:
    """What is left for one tree, and which bounds it met."""

    limits: Limits
    parts: int
    cut: set[str] = field(default_factory=set)


class Part:
    """One node: its fields, and either children (multipart, attached mail) or content."""

    __slots__ = (
        "_budget", "_children", "_depth", "_end", "_params", "_parts", "_start", "_values",
        "data", "fields", "type",
    )

    def __init__(self, data: bytes, start: int, end: int, budget: _Budget, depth: int = 0) -> None:
        self.data = data
        self.fields, self._start, cut = fields.split(data, start, end)
        self._end = end
        self._budget, self._depth = budget, depth
        self._children: tuple[Part, ...] | None = None
        self._params: dict[str, str] | None = None
        self._parts: tuple[Part, ...] | None = None
        self._values: dict[str, str] = {}
        budget.parts -= 1
        if cut:
            budget.cut.add("fields")
        declared = _TYPE.match(self.get("content-type")) if "content-type" in self.fields else None
        self.type = declared[1].lower() if declared else "text/plain"

    @property
    def cut(self) -> set[str]:
        """Bounds the tree has met so far: size, fields, parts, depth."""
        return self._budget.cut

    def get(self, name: str) -> str:
        """The topmost value of a field, decoded; empty when it is not there."""
        if name not in self.fields:
            return ""
        value = self._values.get(name)
        if value is None:
            value = self._values[name] = fields.text(self.fields[name][0])
        return value

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
        named = fields.parameters(value).get("filename") if ";" in value else None
        return named or self.params.get("name", "")

    @property
    def is_mail(self) -> bool:
        """Whether this part holds another mail (or its headers), which is then the only child."""
        return self.type in _MAIL_TYPES

    def raw(self, most: int | None = None) -> bytes:
        """The body as it was transferred, or the beginning of it."""
        return self.data[self._start : self._end if most is None else min(self._end, self._start + most)]

    def content(self) -> bytes:
        """The body with its transfer encoding undone."""
        encoding = self.get("content-transfer-encoding").lower()
        if encoding == "base64":
            return fields.base64(self.raw())
        if encoding == "quoted-printable":
            return binascii.a2b_qp(self.raw())
        if encoding in _UUENCODED:
            return fields.uuencoded(self.raw())
        return self.raw()

    def text(self, most: int = LIMITS.text) -> str:
        """The content as text, cut at `most` bytes before decoding, with bare line feeds."""
        decoded = fields.charset_text(self.content()[:most], self.params.get("charset"))
        return decoded.replace("\r\n", "\n") if "\r" in decoded else decoded

    @property
    def children(self) -> tuple[Part, ...]:
        """The parts of a multipart; the mail in an attached mail; nothing else."""
        if self._children is None:
            self._children = self._split() if self.is_mail or self.type.startswith("multipart/") else ()
        return self._children

    @property
    def parts(self) -> tuple[Part, ...]:
        """The part and those below it, in order; attached mails, being somebody else's, are not entered."""
        if self._parts is None:
            below = () if self.is_mail else (part for child in self.children for part in child.parts)
            self._parts = (self, *below)
        return self._parts

    @property
    def attached(self) -> Part | None:
        """The first mail attached to this one."""
        return next((part.children[0] for part in self.parts if part.is_mail and part.children), None)

    def _split(self) -> tuple[Part, ...]:
        budget, depth = self._budget, self._depth + 1
        if depth > budget.limits.depth:
            budget.cut.add("depth")
            return ()
        if self.is_mail:
            coded = self.get("content-transfer-encoding").lower() in {"base64", "quoted-printable"}
            data, start, end = (self.content(), 0, None) if coded else (self.data, self._start, self._end)
            return (_mail(data, start, len(data) if end is None else end, budget, depth),)
        boundary = self.params.get("boundary", "").rstrip().encode("utf-8", "replace")
        spans = self._spans(boundary) if boundary else []
        if not spans and (guess := _GUESS.search(self.data, self._start, self._end)):
            spans = self._spans(guess[1])
        return tuple(Part(self.data, first, last, budget, depth) for first, last in spans)

    def _spans(self, boundary: bytes) -> list[tuple[int, int]]:
        """Where the parts between the delimiter lines begin and end; the last may lack its closing line."""
        data, end, mark = self.data, self._end, b"--" + boundary
        spans: list[tuple[int, int]] = []
        opened, position, strange = -1, self._start, 0
        while (at := data.find(mark, position, end)) >= 0:
            position = at + len(mark)
            tail = _TAIL.match(data, position, end) if at == self._start or data[at - 1] == 0x0A else None
            if tail is None:
                if (strange := strange + 1) > _MOST_STRANGE:
                    break
                continue
            if opened >= 0:
                spans.append((opened, _before(data, opened, at)))
            if tail[1]:
                return spans
            if len(spans) >= self._budget.parts:
                self._budget.cut.add("parts")
                return spans
            opened = position = tail.end()
        if opened >= 0:
            spans.append((opened, end))
        return spans


class Headers(Mapping[str, str]):
    """A part's fields by lower-case name, topmost value, decoded when asked for; `stated` fills the gaps."""

    __slots__ = ("_part", "_stated")
    MOST = 20_000  # characters of a value

    def __init__(self, part: Part, stated: Mapping[str, str] | None = None) -> None:
        self._part = part
        self._stated = stated or {}

    @property
    def part(self) -> Part:
        """Whose header it is, for a field that stands there more than once."""
        return self._part

    def __getitem__(self, name: str) -> str:
        return self._part.get(name)[: self.MOST] if name in self._part.fields else self._stated[name]

    def get(self, name: str, default: Any = None) -> Any:  # asked for a dozen fields that most mails lack
        if name in self._part.fields:
            return self._part.get(name)[: self.MOST]
        return self._stated.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._part.fields, *self._stated)))

    def __len__(self) -> int:
        return len(self._part.fields.keys() | self._stated.keys())


def read(data: bytes, limits: Limits = LIMITS) -> Part:
    """The tree of one mail. `data` beyond `limits.size` is not looked at."""
    if b"\n" not in data and b"\r" in data:
        data = data.replace(b"\r", b"\n")  # line ends of an old Macintosh
    budget = _Budget(limits, limits.parts)
    if len(data) > limits.size:
        budget.cut.add("size")
    return _mail(data, 0, min(len(data), limits.size), budget, 0)


def head(data: bytes) -> Part:
    """A mail of which only the header is given, or is of interest."""
    return Part(data, 0, len(data), _Budget(LIMITS, 1), LIMITS.depth)


def _mail(data: bytes, start: int, end: int, budget: _Budget, depth: int) -> Part:
    top = fields.MBOX_LINE.match(data, start, end)
    return Part(data, top.end() if top else start, end, budget, depth)


def _before(data: bytes, start: int, delimiter: int) -> int:
    """The end of a part: the line end before its delimiter belongs to the delimiter."""
    end = delimiter - 1
    if end > start and data[end - 1] == 0x0D:
        end -= 1
    return max(start, end)
