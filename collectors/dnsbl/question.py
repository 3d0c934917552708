"""Targets and lists as names to ask: reversed octets, nibbles or a domain, a key, a zone.

RFC 5782 §2.1 (IPv4), §2.4 (IPv6), §3 (domains); UTS 46 for international domains. The part of the target and
the part of the list (which holds the key) are encoded once each; a question is the two put together.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

import idna

from collectors.clients.dns_wire import A_IN, TXT_IN, encode_name
from collectors.contract import Target
from collectors.dnsbl.catalogue import CatalogueError, DnsList

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?")
_KEY = re.compile(r"[A-Za-z0-9_-]{1,63}")
_TEST_POINTS = ipaddress.ip_network("127.0.0.0/8")  # RFC 5782 §5 asks for ::FFFF:7F00:2 by nibbles


class UnsupportedTargetError(ValueError):
    """A target no list can be asked about; the text says why."""


def parse_target(text: str, role: str = "mta", customer: str | None = None) -> Target:
    """An address or a domain as people write it → how it is asked. The name is in its shortest, lower-case form.

    An IPv4 address in IPv6 clothes (::ffff:192.0.2.1) is asked as IPv4, where lists know it.
    """
    name = text.strip()
    address = _address(name)
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        if mapped is None or mapped in _TEST_POINTS:
            return Target(str(address), "ipv6", role, customer)
        address = mapped
    if address:
        return Target(str(address), "ipv4", role, customer)
    return Target(_domain(name), "domain", role, customer)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if "%" in name:
        raise UnsupportedTargetError(f"{_short(name)}: an address with a zone index exists on one link only")
    if "/" in name:
        raise UnsupportedTargetError(f"{_short(name)}: lists are asked about single addresses and domains")
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        if ":" in name or name.rstrip(".").rpartition(".")[2].isdecimal():
            raise UnsupportedTargetError(f"{_short(name)}: looks like an IP address and is none") from None
        return None


def _domain(text: str) -> str:
    name = text.lower().removesuffix(".")
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode()
        except idna.IDNAError as error:
            raise UnsupportedTargetError(f"{_short(text)}: {error}") from None
    if not name or len(name) > 253:
        raise UnsupportedTargetError(f"{_short(text)}: a domain has 1 to 253 characters")
    for label in name.split("."):
        if len(label) > 63:
            raise UnsupportedTargetError(f"{_short(text)}: a label of {len(label)} characters (63 at most)")
        if not _LABEL.fullmatch(label):
            raise UnsupportedTargetError(f"{_short(text)}: {_short(label)!r} is no label of a domain")
    return name


def _short(text: str) -> str:
    """For messages: printable, and not as long as the mistake may be."""
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return clean if len(clean) <= 80 else f"{clean[:77]}..."


def is_public(target: Target) -> bool:
    """Whether an address is one the world can see: private, CGNAT and documentation addresses are on no list."""
    return target.kind == "domain" or ipaddress.ip_address(target.name).is_global


def owner_wire(name: str, kind: str) -> bytes:
    """The labels in front of a zone, in wire form."""
    if kind == "domain":
        return encode_name(name.lower())
    packed = ipaddress.ip_address(name).packed
    parts = [str(octet) for octet in packed] if kind == "ipv4" else packed.hex()
    return encode_name(".".join(reversed(parts)))


def point_wire(point: str) -> bytes:
    """A test point of a catalogue (`127.0.0.2`, `::FFFF:7F00:2`, `_DNSBL_.test`) as labels."""
    try:
        version = ipaddress.ip_address(point).version
    except ValueError:
        return owner_wire(point, "domain")
    return owner_wire(point, f"ipv{version}")


class Zone:
    """A list ready to be asked: its suffix in wire form, with the key in it. Shows the key to nobody."""

    __slots__ = ("_key", "a", "entry", "key_missing", "txt")

    def __init__(self, entry: DnsList, key: str | None = None) -> None:
        if key is not None and not _KEY.fullmatch(key):
            raise CatalogueError(f"the key for {entry.id} cannot stand in a name: letters, digits, - and _ only")
        self.entry = entry
        self._key = key if entry.takes_key else None
        optional = entry.key.optional if entry.key else False
        self.key_missing = entry.takes_key and self._key is None and entry.needs_key and not optional
        zone = entry.zone.lower().removesuffix(".")
        suffix = encode_name(f"{self._key.lower()}.{zone}" if self._key else zone) + b"\0"
        self.a = suffix + A_IN
        self.txt = suffix + TXT_IN

    def __repr__(self) -> str:
        return f"Zone({self.entry.id!r}{', with key' if self._key else ''})"

    def redacted(self, text: str) -> str:
        """A text of the list (its TXT likes to repeat the name asked) without the key."""
        return re.sub(re.escape(self._key), "<key>", text, flags=re.IGNORECASE) if self._key else text


def key_for(entry: DnsList, keys: Mapping[str, str]) -> str | None:
    """The key of a list among keys by id or pattern (`abusix-*`); the exact id comes first."""
    if entry.id in keys:
        return keys[entry.id]
    return next((key for pattern, key in keys.items() if fnmatchcase(entry.id, pattern)), None)
