"""The words of an HTML part, one line per block: enough to find an address and a refusal in it."""

from __future__ import annotations

import html
import re

_PIECE = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)?[^<>]*+>|([^<]++|<)")
_BREAKS = frozenset({"br", "p", "div", "tr", "li", "h1", "h2", "h3", "table", "pre", "hr", "blockquote"})
_SILENT = frozenset({"script", "style", "title"})


def words(document: str) -> str:
    """The document without its tags, in one pass."""
    parts: list[str] = []
    silent = ""
    for piece in _PIECE.finditer(document):
        closing, tag, text = piece[1], (piece[2] or "").lower(), piece[3]
        if silent:
            silent = "" if closing and tag == silent else silent
        elif text is not None:
            parts.append(text)
        elif tag in _SILENT and not closing:
            silent = tag
        elif tag in _BREAKS:
            parts.append("\n")
    return re.sub(r"[ \t\xa0]+", " ", html.unescape("".join(parts)))
