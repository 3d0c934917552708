"""DNS messages as DNSBLs need them: one plain A or TXT question out, what it says back.

RFC 1035 (format), 2181 §8 (TTL), 2308 (negative TTL). A question is a fixed header and bytes that are encoded
once per target and once per list. An answer that is nothing but a header, our question and A records (or one
SOA) is read here by offset; whatever is not that plain goes to dnspython. Both must say the same: a property
test holds them together. Names inside a SOA are not read on the fast way, its header already said "no".
"""

from __future__ import annotations

import functools
import struct
from typing import NamedTuple

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
A_IN = b"\0\1\0\1"
TXT_IN = b"\0\x10\0\1"

QUERY_HEADER = b"\1\0\0\1\0\0\0\0\0\0"  # after the id: recursion desired, one question, no EDNS
_HEADERLESS_ERRORS = frozenset((FORMERR, SERVFAIL, NOTIMP, REFUSED))  # may come without a question section
_LONGEST_NAME = 255
_HIGHEST_TTL = 2**31 - 1  # RFC 2181 §8: more is to be read as 0
LONGEST_TTL_SECONDS = 86_400  # nobody waits longer, whatever a server says (RFC 2308 §5 finds a day the most that works)
_LONGEST_CHAIN = 8
_PLAIN_A = b"\xc0\x0c" + A_IN
_COUNTS = struct.Struct("!HHH")
_A_TAIL = struct.Struct("!IH4s")
_RR_HEAD = struct.Struct("!HHIH")


class Answer(NamedTuple):
    """What a server said. `malformed`: it answered our question with something that cannot be believed."""

    rcode: int
    addresses: tuple[bytes, ...] = ()  # every A record, 4 octets each
    ttl_seconds: int | None = None  # the shortest of the records; of the SOA where there are none
    texts: tuple[str, ...] = ()
    truncated: bool = False
    malformed: str | None = None


def encode_name(text: str) -> bytes:
    """ASCII labels in wire form without the root; ValueError says what is wrong with the name."""
    wire = bytearray()
    for label in text.split("."):
        octets = label.encode("ascii")
        if not 0 < len(octets) < 64:
            what = "an empty label" if not octets else f"a label of {len(octets)} octets (63 at most)"
            raise ValueError(f"{what} in a name of {len(text)} characters")
        wire.append(len(octets))
        wire += octets
    return bytes(wire)


def rcode_name(rcode: int) -> str:
    return dns.rcode.to_text(dns.rcode.Rcode.make(rcode))


def room(suffix: bytes) -> int:
    """How many octets of owner name fit before a suffix (with its type and class): RFC 1035 has 255 for a name."""
    return _LONGEST_NAME - (len(suffix) - 4)


def is_ours(wire: bytes, question: bytes) -> bool:
    """Whether a datagram answers this question: a response to a query, the question as asked (case aside)."""
    if len(wire) < 12 or wire[2] & 0xF8 != 0x80:
        return False
    count = wire[4:6]
    if count == b"\0\1":
        return wire.startswith(question, 12) or wire[12 : 12 + len(question)].lower() == question
    return count == b"\0\0" and wire[3] & 0x0F in _HEADERLESS_ERRORS


def parse_plain(wire: bytes, end: int) -> Answer | None:
    """Read a plain answer to a question that ends at `end`; None where it is not plain.

    The caller has checked the id and `is_ours`.
    """
    return _plain(wire[2:12], wire[end:])


@functools.lru_cache(4096)  # most of a sweep's answers are a few negative ones over and over
def _plain(header: bytes, records: bytes) -> Answer | None:
    rcode = header[1] & 0x0F
    answers, authorities, additionals = _COUNTS.unpack_from(header, 4)
    if header[0] & 0x02 or rcode not in (NOERROR, NXDOMAIN) or additionals:
        return None
    if not answers:
        return _plain_no(records, rcode, authorities)
    if rcode or authorities or len(records) != 16 * answers:
        return None
    return _plain_yes(records)


def _plain_yes(records: bytes) -> Answer | None:
    addresses, lowest = [], LONGEST_TTL_SECONDS
    for start in range(0, len(records), 16):
        ttl, length, address = _A_TAIL.unpack_from(records, start + 6)
        if length != 4 or not records.startswith(_PLAIN_A, start):
            return None
        addresses.append(address)
        lowest = min(lowest, bounded_ttl(ttl))
    return Answer(NOERROR, tuple(addresses), lowest)


def _plain_no(records: bytes, rcode: int, authorities: int) -> Answer | None:
    size = len(records)
    if not authorities:
        return Answer(rcode) if rcode == NXDOMAIN and not size else None
    if authorities != 1:
        return None
    at = 0
    while at < size and 0 < records[at] < 64:
        at += records[at] + 1
    at += 2 if at < size and records[at] >= 0xC0 else 1
    if at + 10 > size:
        return None
    rdtype, rdclass, ttl, length = _RR_HEAD.unpack_from(records, at)
    if rdtype != 6 or rdclass != 1 or length < 22 or at + 10 + length != size:
        return None
    minimum = int.from_bytes(records[-4:], "big")
    return Answer(rcode, (), bounded_ttl(min(ttl, minimum) if ttl <= _HIGHEST_TTL else 0))


def parse_full(wire: bytes, question: bytes) -> Answer:
    """Read any answer to `question` (checked by `is_ours`) with dnspython; never raises."""
    rcode = wire[3] & 0x0F
    if wire[2] & 0x02:
        return Answer(rcode, truncated=True)
    try:
        message = dns.message.from_wire(wire, one_rr_per_rrset=True)
        if message.rcode() not in (NOERROR, NXDOMAIN):
            return Answer(int(message.rcode()))
        return _read(message, question)
    except (dns.exception.DNSException, ValueError, struct.error) as error:
        return Answer(rcode, malformed=type(error).__name__)


def _read(message: dns.message.Message, question: bytes) -> Answer:
    rcode = int(message.rcode())
    rdtype = dns.rdatatype.RdataType.make(int.from_bytes(question[-4:-2], "big"))
    owner, _ = dns.name.from_wire(question, 0)
    names = _chain(message.answer, owner)
    records = [
        rrset
        for rrset in message.answer
        if rrset.rdclass == dns.rdataclass.IN and rrset.rdtype == rdtype and rrset.name in names
    ]
    if problem := _contradiction(message, names, records):
        return Answer(rcode, malformed=problem)
    if not records:
        return Answer(rcode, (), _negative_ttl(message))
    ttl = min(bounded_ttl(rrset.ttl) for rrset in message.answer if rrset.name in names)
    if rdtype == dns.rdatatype.TXT:
        return Answer(rcode, (), ttl, tuple(_texts(records)))
    return Answer(rcode, tuple(_octets(records)), ttl)


def _contradiction(
    message: dns.message.Message, names: list[dns.name.Name], records: list[dns.rrset.RRset]
) -> str | None:
    """Why a well-formed answer says nothing about our question."""
    if not names:
        return "a CNAME loop"
    if records:
        return "NXDOMAIN with records" if message.rcode() == NXDOMAIN else None
    if message.answer and len(names) == 1:
        return "only records nobody asked for"
    if message.rcode() == NOERROR and not any(rrset.rdtype == dns.rdatatype.SOA for rrset in message.authority):
        # RFC 2308 §2.2: "no such data" comes with a SOA; without one it is a referral, a chain of CNAMEs that
        # nobody followed to its end, or a server that does not hold the zone and says so badly
        return "neither records nor a SOA"
    return None


def _chain(answer: list[dns.rrset.RRset], owner: dns.name.Name) -> list[dns.name.Name]:
    """The names reached from `owner` by CNAME, in order; none for a loop or a chain without end."""
    aliases = {
        rrset.name: rrset[0].target
        for rrset in answer
        if rrset.rdtype == dns.rdatatype.CNAME and rrset.rdclass == dns.rdataclass.IN
    }
    names = [owner]
    while names[-1] in aliases:
        following = aliases[names[-1]]
        if following in names or len(names) > _LONGEST_CHAIN:
            return []
        names.append(following)
    return names


def _octets(records: list[dns.rrset.RRset]) -> list[bytes]:
    return [bytes(int(part) for part in rrset[0].address.split(".")) for rrset in records]


def _texts(records: list[dns.rrset.RRset]) -> list[str]:
    return [b"".join(rrset[0].strings).decode("utf-8", "replace") for rrset in records]


def bounded_ttl(seconds: int) -> int:
    """The one bound of every TTL, positive or negative."""
    return 0 if seconds > _HIGHEST_TTL else min(seconds, LONGEST_TTL_SECONDS)


def _negative_ttl(message: dns.message.Message) -> int | None:
    for rrset in message.authority:
        if rrset.rdtype == dns.rdatatype.SOA and rrset.rdclass == dns.rdataclass.IN:
            minimum: int = rrset[0].minimum
            return bounded_ttl(min(rrset.ttl, minimum) if rrset.ttl <= _HIGHEST_TTL else 0)
    return None
