"""How many? Counts as reports write them; None for what is no count, which is never the same as 0.

Seen: digits grouped (`1,234`, `1.234`, `1 234`, `1'234`, `12,34,567`), with empty decimals (`10.0`), in scientific
notation (`1e3`), padded. One separator before exactly three digits groups: nobody writes a whole number with three
decimals. Negative numbers, fractions and words are no counts.
"""

from __future__ import annotations

import re

_MOST = 10**12
_LONGEST = 40
_SPACES = "\u00a0\u2009\u202f"
_GROUPED = re.compile(r"\d{1,3}(?:([,.'\u2019_ ])\d{3})(?:\1\d{3})*|\d{1,2}(?:,\d{2})*,\d{3}")
_EMPTY_DECIMALS = re.compile(r"(.*\d)[.,]0+", re.DOTALL)
_SCIENTIFIC = re.compile(r"(\d{1,13})(?:[.,](\d{1,12}))?[eE]\+?(\d{1,2})")


def count(value: object) -> int | None:
    """The count a text or a number of JSON states; None for anything else, negative and absurd ones among them."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if 0 <= value < _MOST else None
    if isinstance(value, float):
        return int(value) if 0 <= value < _MOST and value.is_integer() else None
    return _written(value) if isinstance(value, str) else None


def _written(value: str) -> int | None:
    text = value[:_LONGEST].translate(dict.fromkeys(map(ord, _SPACES), " ")).strip().removeprefix("+").strip()
    if len(value.strip()) > _LONGEST:
        return None
    number = _whole(text)
    if number is None and (decimals := _EMPTY_DECIMALS.fullmatch(text)):
        number = _whole(decimals[1])
    return number if number is not None and number < _MOST else None


def _whole(text: str) -> int | None:
    if text.isdecimal():
        return int(text)
    if _GROUPED.fullmatch(text):
        return int("".join(filter(str.isdecimal, text)))
    if scientific := _SCIENTIFIC.fullmatch(text):
        decimals = (scientific[2] or "").rstrip("0")
        power = int(scientific[3]) - len(decimals)
        return int(scientific[1] + decimals) * 10**power if power >= 0 else None
    return None
