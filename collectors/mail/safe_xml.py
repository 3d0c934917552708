"""XML from strangers as a stream of elements: no entities, no outside, bounded, repaired where broken.

Any entity declaration is refused, in whatever encoding it comes: the text is decoded before it is looked
at. Broken XML (raw `<`, unclosed elements, invalid bytes: all seen in DMARC reports) is read again by names
known to the caller, everything else between them being text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLPullParser

from collectors.mail.archive import UnreadableError

_DECLARED = re.compile(rb"<\?xml[^>]{0,200}encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_DECLARATION = re.compile(r"<!(?:ENTITY|ELEMENT|ATTLIST|NOTATION)|<!DOCTYPE[^<>\[]*+\[", re.IGNORECASE)
_CHUNK = 65_536
_DEEPEST, _MOST_WITHIN, _MOST_STRANGE, _MOST_REPAIRED = 30, 20_000, 1_000, 500_000
_LONGEST_REPAIRED = 5_000_000


class BrokenError(UnreadableError):
    """Not well-formed: it may still be read by `repaired`."""


def decode(data: bytes) -> str:
    """The document as text. Raises UnreadableError where it declares entities or looks like no XML."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", "replace")
    else:
        declared = _DECLARED.search(data[:300])
        text = _as_declared(data, declared[1].decode().lower() if declared else "utf-8")
    text = text.lstrip("\ufeff \t\r\n\x00")
    if not text.startswith("<"):
        raise UnreadableError("no XML")
    if _DECLARATION.search(text):
        raise UnreadableError("declares entities")
    return _ILLEGAL.sub("\ufffd", text)


def _as_declared(data: bytes, charset: str) -> str:
    known = {"utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "utf-8", "ascii": "utf-8"}
    single = charset.startswith(("iso-8859-", "windows-125", "cp125", "latin"))
    try:
        return data.decode(charset if single else known.get(charset, "utf-8"), "replace")
    except LookupError:
        return data.decode("utf-8", "replace")


def elements(text: str, top: str, names: frozenset[str]) -> Iterator[Element]:
    """Children of the element `top` (else the root) with these local names, each complete and then forgotten.

    Raises BrokenError where the XML is not well-formed, UnreadableError beyond a bound.
    """
    path: list[Element] = []
    base = 1
    within = strange = 0  # elements since the last child of the top ended; such children nobody asked for
    for event, element in _events(text):
        if event == "start":
            path.append(element)
            within += 1
            if len(path) > _DEEPEST or within > _MOST_WITHIN:
                raise UnreadableError("nested deeper or wider than the bound")
            if local(element.tag) == top:
                base = len(path)
            continue
        path.pop()
        if len(path) == base:
            within = 0
            if local(element.tag) in names:
                yield element
            elif (strange := strange + 1) > _MOST_STRANGE:
                raise UnreadableError("more unknown elements than the bound")
            path[-1].clear()


def _events(text: str) -> Iterator[tuple[str, Element]]:
    """Starts and ends of elements, a piece of the text at a time."""
    parser: XMLPullParser[Element] = XMLPullParser(events=("start", "end"))
    try:
        for at in range(0, len(text) + 1, _CHUNK):
            parser.feed(text[at : at + _CHUNK])
            events = list(cast("Iterator[tuple[str, Element]]", parser.read_events()))
            if not events and at + _CHUNK < len(text):
                raise UnreadableError("a tag or a text longer than the bound")
            yield from events
        parser.close()
    except ParseError as wrong:
        raise BrokenError(f"broken XML: {wrong}") from None


def local(tag: str) -> str:
    """A tag without its namespace."""
    return tag.rpartition("}")[2]


def repaired(text: str, known: frozenset[str]) -> Element:
    """A tree of the known elements; what else looks like a tag is text. What is open ends with its parent."""
    if len(text) > _LONGEST_REPAIRED:
        raise UnreadableError("broken XML, too large to be repaired")
    tags = re.compile(r"<(/?)(?:[\w.-]{1,40}:)?(" + "|".join(sorted(known)) + r")(?:\s[^<>]{0,500})?(/?)>")
    builder = TreeBuilder()
    builder.start("document", {})
    stack, position = ["document"], 0
    for count, tag in enumerate(tags.finditer(text)):
        builder.data(text[position : tag.start()])
        if len(stack) > _DEEPEST or count > _MOST_REPAIRED:
            raise UnreadableError("nested deeper or wider than the bound")
        position = tag.end()
        if not tag[1]:
            builder.start(tag[2], {})
            stack.append(tag[2])
        if (tag[1] or tag[3]) and tag[2] in stack:
            while stack[-1] != tag[2]:
                builder.end(stack.pop())
            builder.end(stack.pop())
    while stack:
        builder.end(stack.pop())
    return builder.close()
