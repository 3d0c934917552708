"""What of a stranger's text may be kept, and what may be shown: one cleaning on the way in, one at each way out.

Names and texts come from mails, DNS answers, senders' records and keys. Unicode's control and format characters
in them move a terminal's cursor, turn the order of a line round (UTS 55, "Trojan Source") or hide parts of a
name; `@everyone` wakes a chat room. Letters of every script pass unchanged, also the joiners they need.
"""

from __future__ import annotations

import re
from typing import Final

_REPLACEMENT: Final = "\ufffd"
# C0 and C1 controls without tab and line feed; bidirectional marks, embeddings and isolates; line and paragraph
# separators; word joiner and invisible operators; BOM, interlinear annotation; tag characters
_UNSEEN: Final = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb"
    "\\U000e0000-\\U000e007f]"
)
_IN_A_NAME: Final = re.compile(f"[\\t\\n]|{_UNSEEN.pattern}")
_MENTION: Final = re.compile(r"@(?=(?:everyone|here|channel|all|room|team)\b)|<(?=[!@#])", re.IGNORECASE)
_BREAK: Final = "\u200c"  # zero width non-joiner: nothing to see, and no mention any more
_COLOURS: Final = re.compile("\x1b\\[[0-9;]{0,20}m")


def storable(text: str) -> str:
    """What a database can hold: NUL becomes U+FFFD (PostgreSQL refuses it), a lone surrogate `?`."""
    if text.isascii():
        return text.replace("\0", _REPLACEMENT) if "\0" in text else text
    return text.encode("utf-8", "replace").decode().replace("\0", _REPLACEMENT)


def kept(text: str) -> str:
    """Text on its way in: as written, but what cannot be seen is U+FFFD. Lines and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub(_REPLACEMENT, storable(text.replace("\r\n", "\n")))


def kept_name(text: str) -> str:
    """A name on its way in: as `kept`, and in one line."""
    if text.isascii() and text.isprintable():
        return text
    return _IN_A_NAME.sub(_REPLACEMENT, storable(text))


def is_clean_name(text: str) -> bool:
    """Whether a name holds nothing that `kept_name` would replace."""
    return kept_name(text) == text


def for_terminal(text: str) -> str:
    """Text for a terminal: nothing but letters, lines, tabs and our own colours reaches it."""
    if text.isascii() and text.isprintable():
        return text
    pieces = _COLOURS.split(text)
    colours = _COLOURS.findall(text)
    shown = [_UNSEEN.sub(_REPLACEMENT, storable(piece)) for piece in pieces]
    return "".join(piece + colour for piece, colour in zip(shown, [*colours, ""], strict=True))


def for_page(text: str) -> str:
    """Text for a page, before it is escaped: no character that hides or reorders what stands beside it."""
    return kept(text)


def for_chat(text: str) -> str:
    """Text for a chat: as `kept`, and nobody is called: `@everyone`, `<!channel>`, `<@U123>` are only read."""
    return _MENTION.sub(lambda mention: mention[0] + _BREAK, kept(text))
