"""Why was a recipient refused, is the recipient dead, and who can mend it?

Reads one refusal (enhanced status, reply code, diagnostic text) against an ordered table of what MTAs and
mailbox providers say (`patterns/*.yaml`); where the text says nothing known, the codes decide (RFC 3463,
RFC 5248, RFC 5321). Codes alone are right about half the time for hard or soft, hence text first.
May be wrong where a provider answers with another one's words, or hides its reason on purpose.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from collectors.replies.judgement_table import CATEGORIES, Row, table
from collectors.replies.phrases import plain

__all__ = ["CATEGORIES", "Judgement", "judge"]

TEXT_LIMIT = 2_000  # a refusal that matters fits in here; the rest is a returned mail or an attack

# x.y.z, not a version ("v5.1.2", "Exim 4.92.3"), an address (192.5.1.1) or a date (5.1.2015)
_ENHANCED = re.compile(r"(?<![\w.\-])(?<!version )([45]\.[0-7]\.[0-9]{1,3})(?![.]?[0-9A-Za-z])")
# three digits as an SMTP server says them, not a size, a port, a year or a part of an address
_REPLY = re.compile(
    r"(?<![\w.\-/@:+$])([45][0-57][0-9])(?=[ \-:;,)\]]|$|\.(?:\s|$))(?!-?\d)"
    r"(?! (?:[Bb]ytes|octets|[kKmMgG]i?[bB]|seconds|minutes|hours|days|recipients|messages|times))",
)
# glued to a word that announces it
_REPLY_IN_GLUE = re.compile(
    r"(?:smtp;|said:|code ?:|error:|#)\s?([45][0-57][0-9])(?=[ \-#:,]|$)",
    re.IGNORECASE,
)
_CONTINUED = re.compile(r" [45][0-57][0-9]-(?:[45]\.[0-7]\.[0-9]{1,3} )?")
_PEER = re.compile(r"host \S{1,255} ?\[[0-9a-f.:]{2,45}\]")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one refusal means. `hard`: suppress the recipient. `pattern`: the row that said so, if any did."""

    category: str
    hard: bool
    status: str | None
    reply_code: str | None
    provider: str | None
    meaning: str
    who_acts: str  # us, customer, provider, recipient
    what_to_do: str
    scope: Mapping[str, str]  # what the refusal names: ip, dkim_domain, spf_domain, url, sender, dnsbl
    pattern: str | None


def judge(
    status: str | None,
    reply_code: str | None,
    text: str,
    *,
    provider: str | None = None,
    remote: str | None = None,
) -> Judgement:
    """Judge one refusal; `remote` is the host that refused, where the caller knows it."""
    said = " ".join(text[:TEXT_LIMIT].split())
    status, reply_code = read_codes(status, reply_code, said)
    provider = provider or table().provider_at(remote)
    row, words = _find(said.lower(), (status, reply_code, provider))
    hard = row.hard and not _for_now(status, reply_code)
    return Judgement(
        category=row.category,
        hard=hard,
        status=status,
        reply_code=reply_code,
        provider=provider or row.provider,
        meaning=row.meaning,
        who_acts=row.who_acts,
        what_to_do=row.what_to_do,
        scope=_scope(row, words),
        pattern=row.id,
    )


def _find(said: str, known: tuple[str | None, str | None, str | None]) -> tuple[Row, str]:
    """The first row that fits, and the words its scope is read from (without the name of the peer)."""
    if " host " in said or said.startswith("host "):
        said = _PEER.sub("", said)
    if "-" in said:
        said = _CONTINUED.sub(" ", said)
    return _row(plain(said), known), said


@functools.lru_cache(maxsize=4_096)  # a campaign meets the same refusal thousands of times
def _row(said: str, known: tuple[str | None, str | None, str | None]) -> Row:
    return table().first(said, known)


def _scope(row: Row, said: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name, pattern in row.scope:
        hit = pattern.search(said)
        if hit:
            found[name] = next(filter(None, hit.groups())).strip("[]()<>.,;:'\"")
    return MappingProxyType(found)


def _for_now(status: str | None, reply_code: str | None) -> bool:
    """True for a transient answer. The reply code speaks first: gateways often rewrite the status."""
    return (reply_code or status or "5").startswith("4")


def read_codes(status: str | None, reply_code: str | None, said: str) -> tuple[str | None, str | None]:
    """The true enhanced status and reply code: what was given, unless the text knows better than x.0.0."""
    given = status.strip()[:9] if status else None
    if given is not None and not re.fullmatch(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", given):
        given = None
    if given is None or given.endswith(".0.0"):
        inside = [code for code in _ENHANCED.findall(said) if not code.endswith(".0.0")]
        given = inside[0] if inside else given or _first(_ENHANCED.findall(said))
    if reply_code is None or not re.fullmatch(r"[245][0-9][0-9]", reply_code):
        heard = _REPLY.findall(said) or _REPLY_IN_GLUE.findall(said)
        fitting = [code for code in heard if given is None or code[0] == given[0]]
        reply_code = _first(fitting) or _first(heard)
    return given, reply_code


def _first(found: list[str]) -> str | None:
    return found[0] if found else None
