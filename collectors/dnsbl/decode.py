"""What an answer of a DNSBL means: listed, not listed, or not known and why. Pure.

RFC 5782 §2.3 (codes, bitmasks) and the habits of the lists. The order of the A records means nothing; every
one is looked at:

| answer | verdict |
|---|---|
| NXDOMAIN, or NOERROR without A and with a SOA | not listed |
| SERVFAIL, FORMERR, NOTIMP …, a broken or self-contradicting answer | unknown: servfail |
| rcode REFUSED, or an rcode the list refuses with | unknown: refused |
| any A outside 127/8 | unknown: rewritten (parked domain, NXDOMAIN hijack, captive portal) |
| any A in 127.255.255/24, a refused code of the list, 127.0.0.1 (unless `loopback_is_valid`) | unknown: refused |
| only codes the list does not document | unknown: rewritten — not an answer this list gives |
| at least one documented code | listed, with all of them; undocumented ones beside it are kept apart |

A list without any table of codes lists by any code in 127/8, as RFC 5782 §2.1 has it.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Mapping
from typing import NamedTuple

from collectors.clients.dns_wire import NOERROR, NXDOMAIN, REFUSED, Answer, rcode_name
from collectors.contract import Reason, Role
from collectors.details import ListSeverity
from collectors.dnsbl.catalogue import Code, DnsList

# what a target does; policy lists hold ranges that must not send mail: grave for who does, news for the others
_IDLE_ROLES = frozenset(Role) - {Role.MTA}
_ANY = Code(meaning="listed (the list documents no codes)")


class Word(enum.StrEnum):
    """What a list says of a target."""

    LISTED = "listed"
    NOT_LISTED = "not_listed"
    UNKNOWN = "unknown"


_WORDS = {True: Word.LISTED, False: Word.NOT_LISTED, None: Word.UNKNOWN}


class Verdict(NamedTuple):
    """`listed` True, False, or None with the reason. `score` is the list's own scale where it has one."""

    listed: bool | None
    reason: Reason | None = None
    why: str | None = None
    codes: tuple[str, ...] = ()
    meanings: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    severity: ListSeverity | None = None
    weight: float = 0.0
    policy: bool = False
    score: int | None = None
    undocumented: tuple[str, ...] = ()
    ttl_seconds: int | None = None

    @property
    def word(self) -> Word:
        return _WORDS[self.listed]


def unknown(reason: Reason, why: str | None = None, ttl_seconds: int | None = None) -> Verdict:
    return Verdict(None, reason, why, ttl_seconds=ttl_seconds)


@functools.lru_cache(4096)
def not_listed(ttl_seconds: int | None) -> Verdict:
    return Verdict(False, ttl_seconds=ttl_seconds)


def decode(answer: Answer, entry: DnsList, role: str = "mta") -> Verdict:
    """The verdict of one list on one target; `role` is what the target does, which policy listings depend on."""
    if answer.malformed:
        return unknown(Reason.SERVFAIL, f"the answer cannot be believed: {answer.malformed}")
    if answer.rcode not in (NOERROR, NXDOMAIN):
        return _rcode(answer.rcode, entry)
    if not answer.addresses:
        return not_listed(answer.ttl_seconds)
    addresses = sorted(set(answer.addresses))
    refusal = _refusal(addresses, entry, answer.ttl_seconds)
    if not refusal and answer.rcode == NXDOMAIN:
        return unknown(Reason.SERVFAIL, "the answer contradicts itself: no such name, yet it has an address", answer.ttl_seconds)
    return refusal or _listing(addresses, entry, role, answer.ttl_seconds)


def is_listing(answer: Answer, entry: DnsList) -> bool:
    """Whether the answer, by any code in 127/8 that is no refusal, says that the name is in the list.

    Weaker than `decode`: test points often carry a code of their own that stands in no table.
    """
    addresses = sorted(set(answer.addresses))
    plain = answer.rcode == NOERROR and not answer.malformed and bool(addresses)
    return plain and _refusal(addresses, entry, None) is None


def _rcode(rcode: int, entry: DnsList) -> Verdict:
    name = rcode_name(rcode)
    reason = entry.refused_codes.get(f"rcode:{name}")
    if reason or rcode == REFUSED:
        return unknown(Reason.REFUSED, reason or "the server refuses to answer (REFUSED)")
    return unknown(Reason.SERVFAIL, f"the server could not answer ({name})")


def _refusal(addresses: list[bytes], entry: DnsList, ttl: int | None) -> Verdict | None:
    """One address that is no listing spoils the whole answer: nobody knows which part to believe."""
    texts = [_text(address) for address in addresses]
    for text, address in zip(texts, addresses, strict=True):
        if address[0] != 127:
            return unknown(Reason.REWRITTEN, f"{text} is not an answer of a DNSBL", ttl)
    for text, address in zip(texts, addresses, strict=True):
        reason = _refused_code(address, text, entry)
        if reason:
            return unknown(Reason.REFUSED, f"{text}: {reason}", ttl)
    return None


def _refused_code(address: bytes, text: str, entry: DnsList) -> str | None:
    for code, reason in entry.refused_codes.items():
        if code.startswith("bit:"):
            if address[entry.bitmask_octet - 1] & int(code[4:]):
                return reason
        elif not code.startswith("rcode:") and _matches(code, text):
            return reason
    if address[:3] == b"\x7f\xff\xff":
        return "the list answers with an error code"
    if address == b"\x7f\0\0\1" and not entry.loopback_is_valid:
        return "query refused, or something on the way blocks the name"
    return None


def _listing(addresses: list[bytes], entry: DnsList, role: str, ttl: int | None) -> Verdict:
    known: dict[bytes, list[Code]] = {}
    for address in addresses:
        if codes := _codes(address, entry):
            known[address] = codes
    undocumented = tuple(_text(address) for address in addresses if address not in known)
    if not known:
        return unknown(Reason.REWRITTEN, f"{', '.join(undocumented)}: no code of this list", ttl)
    codes = [code for several in known.values() for code in several]
    severities = [_severity(code, entry, role) for code in codes]
    return Verdict(
        True,
        codes=tuple(_text(address) for address in known),
        meanings=tuple(dict.fromkeys(code.meaning for code in codes)),
        categories=tuple(dict.fromkeys(code.category for code in codes if code.category)),
        severity=min(severities, key=lambda each: each.rank),
        weight=round(entry.weight * max(code.weight_factor for code in codes), 3),
        policy=all(_is_policy(code, entry) for code in codes),
        score=_score(list(known), entry),
        undocumented=undocumented,
        ttl_seconds=ttl,
    )


def _codes(address: bytes, entry: DnsList) -> list[Code]:
    text = _text(address)
    if not entry.codes:
        return [_ANY]
    if entry.code_style == "bitmask":
        return _bits(address, entry.codes, entry.bitmask_octet - 1)
    if entry.code_style == "score" and _score([address], entry) is None:
        return []
    exact = entry.codes.get(text)
    return [exact] if exact else [code for pattern, code in entry.codes.items() if _matches(pattern, text)][:1]


def _bits(address: bytes, codes: Mapping[str, Code], octet: int) -> list[Code]:
    others = address[1:octet] + address[octet + 1 :]
    if any(others):
        return []
    return [code for bit, code in codes.items() if address[octet] & int(bit)]


def _matches(pattern: str, text: str) -> bool:
    if "*" not in pattern:
        return pattern == text
    pairs = zip(pattern.split("."), text.split("."), strict=True)
    return all(wanted in ("*", octet) for wanted, octet in pairs)


def _score(addresses: list[bytes], entry: DnsList) -> int | None:
    scale = entry.score
    if not scale:
        return None
    values = [a[scale.octet - 1] for a in addresses if f"{_text(a)}.".startswith(scale.prefix.rstrip(".") + ".")]
    fitting = [value for value in values if scale.min <= value <= scale.max]
    if not fitting:
        return None
    return min(fitting) if scale.higher_is_better else max(fitting)


def _is_policy(code: Code, entry: DnsList) -> bool:
    return entry.policy_list or code.severity is ListSeverity.POLICY


def _severity(code: Code, entry: DnsList, role: str) -> ListSeverity:
    """A role nobody knows counts as sending: a policy listing must not vanish by a slip of the pen."""
    if not _is_policy(code, entry):
        return code.severity
    return ListSeverity.INFO if role.lower() in _IDLE_ROLES else ListSeverity.HIGH


def _text(address: bytes) -> str:
    return ".".join(map(str, address))
