"""Header fields: splitting them off a byte string, decoding their values, reading what is in them.

RFC 5322 (fields, obsolete forms included), 2045/2231 (parameters), 2047 (encoded words). Every pattern here
is linear in its input: hostile mail may stuff a field with semicolons, folds or quotes and only pays for
its own length. Values are read tolerantly: wrong charsets, raw 8-bit bytes and broken encoded words
become text with replacement characters, never an error.
"""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Iterator

Fields = dict[str, list[str]]  # lower-case name → raw values (each character an octet), topmost first

MOST_FIELDS = 1_000  # of one header; the highest seen in a real mail is below 200
# Possessive, so that a field of a million folds needs no memory for going back.
_FIELD = r"([!-9;-~]++)[ \t]*+:[ \t]*+([^\n]*+(?:\n[ \t][^\n]*+)*+)(?:\n|\Z)"
_AS_TEXT = re.compile(_FIELD)
_HEADER = re.compile(rb"(?:%s){0,%d}+" % (_FIELD.replace("([", "(?:[").encode(), MOST_FIELDS))
_ONE_MORE = re.compile(rb"[!-9;-~]++[ \t]*+:")
# What editors and mbox files leave on top of a mail.
MBOX_LINE = re.compile(rb"(?:\xef\xbb\xbf|[ \t]*+\r?\n|>*+From [^\n]*+\n)*+")
BLANK_LINE = re.compile(rb"\n\r?\n")
_FOLD = re.compile(r"\r?\n[ \t]*")
_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*+)\?=")
_BETWEEN_WORDS = re.compile(r"(\?=)\s+(?==\?)")
_PARAMETER = re.compile(
    r";\s*+([\w!#$%&'*+.^`{|}~-]++)\s*+=\s*+(\"(?:[^\"\\]|\\.)*+\"|[^;\s\"][^;\r\n]*+)", re.DOTALL
)
_ANGLE = re.compile(r"<([^<>]*)>")
# Begins where a word begins, so that a long word without @ is looked at once.
_ADDRESS = re.compile(r"(?<![^\s<>\"(),:;])[^\s<>\"(),:;@]++@[^\s<>\"(),:;]++")
_LONGEST_ADDRESS = 320
_MOST_VALUE = 65_536  # decoded; a longer field is cut, a To of 20,000 addresses says nothing a report needs
_NOT_FOR_MAIL = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape"})


def split(data: bytes, start: int, end: int) -> tuple[Fields, int, bool]:
    """Read fields from `start`: they, where the body begins, whether more than `MOST_FIELDS` were cut off.

    As everywhere, the first line that is no field ends the header, also without the blank line.
    """
    header = _HEADER.match(data, start, end)
    position = header.end() if header else start
    fields: Fields = {}
    for written, value in _AS_TEXT.findall(data[start:position].decode("latin-1")):
        name = written.lower()
        if name in fields:
            fields[name].append(value)
        else:
            fields[name] = [value]
    if data.startswith(b"\n", position, end):
        return fields, position + 1, False
    if data.startswith(b"\r\n", position, end):
        return fields, position + 2, False
    if _ONE_MORE.match(data, position, end):
        blank = BLANK_LINE.search(data, position, end)
        return fields, blank.end() if blank else end, True
    return fields, position, False


def block(data: bytes, *, strays: bool = False) -> Iterator[tuple[str, str, bool]]:
    """Fields of a machine-readable part: name, value, and whether a blank line stands before it.

    Lines that are no fields must not hide the ones after them: with `strays` they have an empty name, else
    they are skipped.
    """
    octets = data.decode("latin-1")
    position, end, blank = 0, len(octets), False
    while position < end:
        if field := _AS_TEXT.match(octets, position):
            yield field[1].lower(), text(field[2]), blank
            position, blank = field.end(), False
            continue
        line_end = octets.find("\n", position)
        line_end = end if line_end < 0 else line_end + 1
        stray = octets[position:line_end].strip()
        blank = blank or not stray
        if strays and stray:
            yield "", text(stray), blank
        position = line_end


def charset_text(data: bytes, charset: str | None) -> str:
    """Bytes as text in the charset they claim, or else in the one they look like."""
    name = (charset or "").strip().lower()
    if name not in {"", "us-ascii", "ascii", "utf-8", "utf8", "8bit", "unknown-8bit"}:
        try:
            codec = codecs.lookup(name)
            if codec.name not in _NOT_FOR_MAIL:
                return data.decode(codec.name, "replace")
        except (LookupError, ValueError):
            pass  # not a charset, or not one of text
    try:
        return data.decode()
    except UnicodeDecodeError as wrong:
        cut_off = wrong.reason == "unexpected end of data" and wrong.start > 0
        utf8 = cut_off and not data[: wrong.start].isascii()
        return data.decode("utf-8", "replace") if utf8 else data.decode("latin-1")


def text(value: str) -> str:
    """A field's value: unfolded, decoded, stripped."""
    decoded = value if len(value) <= _MOST_VALUE else value[:_MOST_VALUE]
    if not decoded.isascii():
        decoded = charset_text(decoded.encode("latin-1"), None)
    if "\n" in decoded:
        decoded = _FOLD.sub(" ", decoded)
    if "=?" in decoded:
        decoded = _WORD.sub(_word, _BETWEEN_WORDS.sub(r"\1", decoded))
    return decoded.strip()


def _word(word: re.Match[str]) -> str:
    charset, how, coded = word[1].partition("*")[0], word[2].lower(), word[3]
    raw = coded.encode("utf-8", "replace")
    data = binascii.a2b_qp(raw, header=True) if how == "q" else base64(raw)
    return charset_text(data, charset)


def base64(data: bytes) -> bytes:
    """As much as can be decoded; stray characters and missing padding are forgiven."""
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        clean = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
        whole = len(clean) - 1 if len(clean) % 4 == 1 else len(clean)
        return binascii.a2b_base64(clean[:whole] + b"==")


def uuencoded(data: bytes) -> bytes:
    """The file between `begin` and `end`; as it is where nothing begins. Broken lines are left out."""
    lines = data.splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith(b"begin ")), None)
    if first is None:
        return data
    decoded = []
    for line in lines[first + 1 :]:
        if line.rstrip() == b"end":
            break
        try:
            decoded.append(binascii.a2b_uu(line))
        except binascii.Error:
            continue
    return b"".join(decoded)


def parameters(value: str) -> dict[str, str]:
    """`; name=value` parameters, RFC 2231 continuations and charsets joined; the first of a name counts."""
    values: dict[str, str] = {}
    pieces: dict[str, str] = {}
    for name, written in _PARAMETER.findall(value[:_MOST_VALUE]):
        clean = re.sub(r"\\(.)", r"\1", written[1:-1]) if written.startswith('"') else written.split("(")[0].strip()
        base, star, _ = name.lower().partition("*")
        if star:
            pieces[base] = pieces.get(base, "") + clean
        else:
            values.setdefault(base, clean)
    for base, joined in pieces.items():
        charset, quoted, rest = joined.partition("'")
        coded = rest.partition("'")[2] if quoted else joined
        raw = binascii.a2b_qp(coded.replace("=", "=3D").replace("%", "=").encode("utf-8", "replace"))
        values.setdefault(base, charset_text(raw, charset if quoted else None))
    return values


def address(value: str) -> str:
    """The address in a field: in angle brackets, or bare; as given when it is neither. Empty for `<>`."""
    if angle := _ANGLE.findall(value):
        return str(angle[-1]).strip()
    bare = _ADDRESS.search(value)
    return bare[0] if bare else value.strip()


def addresses(value: str, most: int = 50) -> list[str]:
    """Addresses of a field of many, in order."""
    matches = (match[0] for match, _ in zip(_ADDRESS.finditer(value), range(most), strict=False))
    return [match for match in matches if len(match) <= _LONGEST_ADDRESS]
