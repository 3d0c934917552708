"""Addresses, domains and mailbox providers in the one form in which they are compared. Standard library only.

Domains: lower-case A-labels. Python's own codec `idna` is that of 2003 (RFC 3490) and takes `ß` for `ss`, which is
another domain today; so the mapping of UTS 46 is done here as far as names that can be registered need it, and labels
are written in Punycode (RFC 3492). Nothing is refused but what cannot be written: that a name may not be registered is
no reason to stop, and `monitor.inventory.names` says so where a person writes it. A test holds the two equal.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

OTHER = "other"  # the provider that facts about recipient domains of no known provider are counted under
_MOST_LABELS = 12  # of a domain from outside that are looked at: a hostile one must not cost more
_LONGEST_DOMAIN, _LONGEST_LABEL = 253, 63
_DOTS = re.compile("[\u3002\uff0e\uff61]")  # what UTS 46 takes for a full stop
_KEPT = re.compile("([\u00df\u03c2\u200c\u200d])")  # letters of their own since IDNA 2008, which case folding would lose
_IGNORED = re.compile(  # default-ignorable characters
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def ip_address(text: str) -> IpAddress:
    """The address of one host; an IPv4 address mapped into IPv6 is the IPv4 address. Raises ValueError."""
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        raise ValueError(f"'{text}' is no IP address — write it such as 192.0.2.1 or 2001:db8::1") from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise ValueError(f"'{text}' carries a zone of one machine — write it without '%…'")
        address = address.ipv4_mapped or address
    if address.is_multicast or address.is_unspecified:
        raise ValueError(f"'{text}' cannot send: it is no address of one host")
    return address


def address_name(text: str) -> str:
    """An IP address in canonical form (IPv6: RFC 5952). Raises ValueError."""
    return str(ip_address(text))


def domain_name(text: str) -> str:
    """A domain in canonical form. Raises ValueError for what cannot be written as A-labels."""
    name = text.strip()
    if not name.isascii():
        name = ".".join(map(_a_label, _mapped(name).split(".")))
    name = name.rstrip(".").lower()
    if not 0 < len(name) <= _LONGEST_DOMAIN:
        raise ValueError(f"'{text}' is no domain name: one has 1 to {_LONGEST_DOMAIN} characters")
    return name


def _mapped(name: str) -> str:
    """As UTS 46 maps: compatibility forms and case gone, `ß` and final sigma kept."""
    name = _IGNORED.sub("", _DOTS.sub(".", name.replace("\u1e9e", "\u00df")))
    parts = _KEPT.split(name)  # every other part is one of the letters kept
    parts[::2] = (unicodedata.normalize("NFKC", part).casefold() for part in parts[::2])
    return unicodedata.normalize("NFKC", "".join(parts))


def _a_label(label: str) -> str:
    if label.isascii():
        return label
    encoded = "xn--" + label.encode("punycode").decode("ascii")
    if len(encoded) > _LONGEST_LABEL:
        raise ValueError(f"'{label}' is no part of a domain name: it is longer than {_LONGEST_LABEL} characters")
    return encoded


@dataclass(frozen=True, slots=True)
class Providers:
    """Which mailbox provider receives the mail of a domain.

    `domains`: recipient domain → provider; one that begins with a dot stands for all below it. `names`: other names of
    a provider → provider.
    """

    domains: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    _known: frozenset[str] = field(init=False, repr=False, compare=False)
    _below: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_known", frozenset(self.domains.values()) | frozenset(self.names.values()))
        object.__setattr__(self, "_below", any(domain.startswith(".") for domain in self.domains))

    def of_domain(self, domain: str) -> str | None:
        """The provider of a canonical recipient domain; None: it is one of the `other`."""
        provider = self.domains.get(domain)
        if provider is not None or not self._below:
            return provider
        dot = domain.find(".")
        for _ in range(_MOST_LABELS):
            if dot < 0:
                return None
            provider = self.domains.get(domain[dot:])
            if provider is not None:
                return provider
            dot = domain.find(".", dot + 1)
        return None

    def named(self, name: str) -> str | None:
        """The provider of a canonical id, other name or recipient domain; None: a domain of the `other`.

        What is neither known nor a domain is the id of a provider that nobody has described.
        """
        if name in self._known:
            return name
        provider = self.names.get(name) or self.of_domain(name)
        return provider if provider is not None or "." in name else name

    def canonical(self, name: str) -> str:
        """What restrictions and decisions name it: a domain of the `other` is its own provider."""
        return self.named(name) or name
