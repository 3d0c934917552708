"""The document in a part, however its encoding is declared.

A zip or XML may be base64 without a word about it, because the header was broken by a blank line (Google, through
some relays) or lost; uuencoded (`x-uuencode`, or a `begin` line in the text); encoded twice; or plain although base64 is
declared. What is right is known by what comes out: a document begins as one.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from collectors.mail import fields, mime
from collectors.mail.mime import Part

DOCUMENT = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<[?!\w]|[{\[])|\xff\xfe<|\xfe\xff\x00<|\x1f\x8b|PK\x03\x04")
_BASE64 = re.compile(rb"[ \t>]*(?:H4sI|UEsDB|PD94bWw|PGZlZWRiYWNr|77u/P|eyJ|ewog|ewoJ|ew0K|[A-Za-z0-9+/]{40,}={0,2}\s*$)",
                     re.MULTILINE)
_LATER_BASE64 = re.compile(rb"^[ \t>]*(?=H4sI|UEsDB|PD94bWw|PGZlZWRiYWNr)", re.MULTILINE)
_NO_BASE64 = re.compile(rb"^(?![ \t>]*[A-Za-z0-9+/=]+[ \t]*\r?$).*$", re.MULTILINE)
_UU_BEGIN = re.compile(rb"^begin [0-7]{3,4} [^\r\n]*\r?\n", re.MULTILINE)
_MORE_HEADER = re.compile(rb"\s*(?:Content-[A-Za-z-]{1,40}|MIME-Version):", re.IGNORECASE)
_LOOKED_AT = 65_536  # bytes in which a document must begin
_MOST_BLANK_LINES = 3


def parts(mail: Part) -> Iterator[Part]:
    """The leaves of a mail; of one whose header is broken by a blank line, what the rest of the header says."""
    for part in mail.parts:
        if not part.children and not part.is_mail:
            yield from _continued(part, _MOST_BLANK_LINES)


def _continued(part: Part, blank_lines: int) -> Iterator[Part]:
    if not blank_lines or not _MORE_HEADER.match(part.raw(500)):
        yield part
        return
    for inner in mime.read(part.raw().lstrip()).parts:
        if not inner.children and not inner.is_mail:
            yield from _continued(inner, blank_lines - 1)


def begins_as_document(part: Part) -> bool:
    """Whether the part looks like a document at once, packed, bare or encoded; whatever its type says."""
    start = part.raw(_LOOKED_AT)
    return bool(
        re.match(rb"\s*(?:<\?xml|<(?:\w+:)?feedback|\x1f\x8b|PK\x03\x04)", start)
        or _LATER_BASE64.search(start)
        or _UU_BEGIN.search(start)
    )


def read(part: Part) -> bytes:
    """The document in a part; its content as declared where nothing in it begins as one."""
    declared = part.content()
    if DOCUMENT.match(declared):
        return declared
    return next((data for data in _guesses(part, declared) if DOCUMENT.match(data)), declared)


def _guesses(part: Part, declared: bytes) -> Iterator[bytes]:
    raw = part.raw()
    yield raw
    for data in (declared, raw):
        if begin := _UU_BEGIN.search(data):
            yield _uudecoded(data[begin.end() :])
        if _BASE64.match(data[:_LOOKED_AT].lstrip()):
            once = fields.base64(data)
            yield once
            if _BASE64.match(once[:_LOOKED_AT]):
                yield fields.base64(once)
        if begin := _LATER_BASE64.search(data, 0, _LOOKED_AT):
            end = _NO_BASE64.search(data, begin.end())
            yield fields.base64(data[begin.end() : end.start() if end else len(data)].replace(b">", b""))


def _uudecoded(data: bytes) -> bytes:
    """As much as can be decoded, up to the `end` line."""
    decoded = bytearray()
    for line in data.splitlines():
        if line.strip() == b"end":
            break
        try:
            decoded += binascii.a2b_uu(line)
        except binascii.Error:  # a line with stray characters: its length says how many bytes count
            needed = (((line[0] - 32) & 63) * 4 + 5) // 3 if line else 0
            try:
                decoded += binascii.a2b_uu(line[:needed])
            except binascii.Error:
                break
    return bytes(decoded)
