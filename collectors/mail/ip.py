"""Which IP address does a text name, however it is written?

Reports and headers write one address in many spellings: with the tag of an address literal (`IPv6:`, RFC 5321
4.1.3), in brackets, with a port, a prefix length, a zone, a comment (RFC 5322 3.2.2) or the host's name beside it,
padded with zeros, IPv4 inside IPv6 (RFC 4291 2.5.5). What stands outside comments counts first. An address inside
a longer name (`192.0.2.1.dynamic.example`) is none. May be wrong in a text that names several addresses: the
first one is taken.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

_MOST = 1_000  # characters looked at
# A word that may be an address: not part of a longer name, path or address of mail. `IPv6:` may stand before it.
_WORD = re.compile(
    r"(?<![\w.:/@%-])(?:ipv[46]:)?"
    r"(\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,8}(?:(?<=:)\d{1,3}(?:\.\d{1,3}){3})?)"
    r"(?:%\w{1,20})?(?:/\d{1,3})?(?:[:#]\d{1,5})?(?![\w:/@%-]|\.\w)",
    re.IGNORECASE,
)
_PADDED = re.compile(r"\d{3}(?:\.\d{3}){3}")  # three digits each: decimal; a single 010 might be octal


def read(text: str) -> str | None:
    """The address a text names, in its usual spelling; an IPv4 address inside an IPv6 one as IPv4."""
    outside = without_comments(text[:_MOST])
    return next(named(outside), None) or next(named(text[:_MOST]), None)


def named(text: str) -> Iterator[str]:
    """Every address in a text, in its usual spelling and in order."""
    for word in _WORD.finditer(text):
        if address := canonical(word[1]):
            yield address


def canonical(address: str) -> str | None:
    """A bare address in its usual spelling; None for what is none."""
    if _PADDED.fullmatch(address):
        address = ".".join(str(int(part)) for part in address.split("."))
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    return str(getattr(ip, "ipv4_mapped", None) or ip)


def without_comments(text: str) -> str:
    """A structured value without its comments, which may nest (RFC 5322 3.2.2); one that never ends is kept."""
    if "(" not in text:
        return text.strip()
    kept: list[str] = []
    depth = 0
    for char in text:
        depth += char == "("
        if not depth:
            kept.append(char)
        depth -= char == ")" and depth > 0
    return ("".join(kept) if depth == 0 else text).strip()
