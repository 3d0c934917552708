"""A phrase of the pattern table: a small regular expression, and the words it can be filed under.

A phrase is matched against the text as `plain` writes it: lower case, no accents, single spaces, addresses
written as `@`, no apostrophes or punctuation between words. `<3>` stands for up to three words that do not
matter. A phrase begins and ends at the edge of a word. Only what RE2 also knows may be used, and no repeat
without an upper bound, so that hostile text cannot make it slow.
"""

from __future__ import annotations

import re
import unicodedata

# Scripts written without spaces: a phrase in them has no words to be filed under.
CJK = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
_FORBIDDEN = re.compile(r"(?<!\\)[*+]|\{[0-9]+,\}|\(\?[^:]|\\[0-9]")
_TOKEN = re.compile(
    r"(?P<skip><[0-9]>)|(?P<open>\(\?:)|(?P<close>\))|(?P<bar>\|)|(?P<unsure>\[[^\]]{1,40}\]|\.|\\[wWS])"
    r"|(?P<edge>\\.|\$)|(?P<letter>[^\W\d_])|(?P<other>.)",
)
_ACCENT = re.compile(r"[\u0300-\u036f]")
_REPEAT = re.compile(r"\?\??|\{[0-9]+(?:,[0-9]+)?\}\??")
_ADDRESS = re.compile(r"<?[^\s<>@,;:()\"\[\]]{1,64}@[\w.\-]{1,255}>?")
_GONE = {ord(mark): None for mark in "'\u2019\u2018\u00b4`"}
_SPACES = {ord(mark): " " for mark in ':;,"()[]<>{}!?*|\u201c\u201d\u00ab\u00bb'}
_WORD = re.compile(r"[^\W\d_]+")
_REQUESTED = re.compile(r"requested (?:mail )?action (?:not taken|aborted) mailbox unavailable")

Words = frozenset[str]


def folded(text: str) -> str:
    """Without accents, so that `boîte`, `boite` and a decomposed spelling are one word."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _ACCENT.sub("", unicodedata.normalize("NFD", text)))


def compiled(phrase: str) -> re.Pattern[str]:
    """The expression to search for. Raises ValueError for a construct that is not bounded."""
    bare = re.sub(r"\[[^\]]*\]", "", phrase)
    if _FORBIDDEN.search(bare):
        raise ValueError(f"{phrase!r} uses an unbounded repeat, a look-around or a back reference")
    expression = re.sub(r"<([0-9])>", r"(?:\\S{1,60} ){0,\1}", folded(phrase))
    if CJK.search(phrase):
        return re.compile(expression)
    return re.compile(rf"(?<![^\W_])(?:{expression})(?![^\W\d_])")


def plain(text: str) -> str:
    """A text as phrases are written; `text` is in lower case, bounded, with single spaces.

    Postfix opens every refusal of a recipient, for whatever reason, with "Recipient address rejected:". Its
    three words say nothing and become one, `rcptrejected`, so that only what follows is judged; so does
    RFC 5321's "Requested action not taken: mailbox unavailable" (`mailboxunavailable`).
    """
    if "@" in text:
        text = _ADDRESS.sub("@", text)
    text = folded(text).replace(" l'", " ").replace(" d'", " ").translate(_GONE)
    text = text.replace("(s)", "s").replace("(es)", "es")
    text = " ".join(text.translate(_SPACES).replace(". ", " ").split())
    if "requested" in text:
        text = _REQUESTED.sub("mailboxunavailable", text)
    return text.replace("recipient address rejected", "rcptrejected")


def filing_words(phrase: str) -> Words:
    """Words of which every matching text holds at least one, whole; empty where none is sure."""
    alternatives, _ = _alternatives(folded(phrase), 0)
    return _any_of(alternatives) or frozenset()


# A sequence is read into a line of text in which "\0" marks what is not sure, " " an edge of a word, and "\1"
# the place of a group that must be there; the words such groups need are kept beside it in order.
_Sequence = tuple[str, list[Words | None]]


def _alternatives(phrase: str, at: int) -> tuple[list[_Sequence], int]:
    sequences: list[_Sequence] = []
    line, groups = "", list[Words | None]()
    while at < len(phrase):
        token = _TOKEN.match(phrase, at)
        assert token is not None  # `other` takes any character
        at, kind = token.end(), token.lastgroup
        if kind == "close":
            break
        if kind == "bar":
            sequences.append((line, groups))
            line, groups = "", []
            continue
        inner: list[_Sequence] = []
        if kind == "open":
            inner, at = _alternatives(phrase, at)
        repeat = _REPEAT.match(phrase, at)
        optional = repeat is not None and repeat[0][:2] in ("?", "??", "{0")
        at = repeat.end() if repeat else at
        if kind == "open":
            line += _group_mark(inner, optional)
            if not optional:
                groups.append(_any_of(inner))
        else:
            line += _mark(kind or "", token[0], repeated=repeat is not None)
    sequences.append((line, groups))
    return sequences, at


def _mark(kind: str, text: str, *, repeated: bool) -> str:
    if kind == "skip":
        return ""  # whole words, each with its space: what stands on both sides keeps its edges
    if kind == "unsure" or (repeated and kind in ("letter", "other")):
        return "\0"
    return text if kind == "letter" else " "


def _group_mark(inner: list[_Sequence], optional: bool) -> str:
    spaced = all(line.endswith(" ") for line, _ in inner)
    if optional:
        return "" if spaced else "\0"
    return "\1 " if spaced else "\1"


def _any_of(alternatives: list[_Sequence]) -> Words | None:
    """One word set for each alternative, together; None as soon as one has nothing sure."""
    together: set[str] = set()
    for line, groups in alternatives:
        needed = _needed(line, groups)
        if not needed:
            return None
        together |= needed
    return frozenset(together)


def _needed(line: str, groups: list[Words | None]) -> Words | None:
    """The rarest-looking need of one sequence: its longest sure word, else its smallest group."""
    sure = [
        hit[0]
        for hit in _WORD.finditer(line)
        if len(hit[0]) > 1 and line[hit.start() - 1 : hit.start()] in ("", " ")
        and line[hit.end() : hit.end() + 1] in ("", " ")
    ]
    if sure:
        return frozenset({max(sure, key=len)})
    places = [hit.start() for hit in re.finditer("\1", line)]
    whole = [
        words
        for place, words in zip(places, groups, strict=True)
        if words and line[place - 1 : place] in ("", " ") and line[place + 1 : place + 2] in ("", " ")
    ]
    return min(whole, key=len, default=None)
