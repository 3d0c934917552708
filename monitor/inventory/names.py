"""The names things of the inventory go by, each in one canonical form; a wrong one raises ValueError.

IPv6 as RFC 5952 writes it; domains as lower-case A-labels (IDNA 2008 with UTS 46 mapping, RFC 5890).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

import idna

from collectors.dimensions import BY_NAME, Form
from collectors.providers import ProviderTable, shipped
from monitor.gate import names as gate_names
from monitor.gate.names import IpAddress, address_name, ip_address

MAX_RANGE = 4096

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,252}[A-Za-z0-9])?|::1")
_OWN_HEADER = re.compile(r"x-[a-z0-9-]{1,62}")
_LOCAL_PART = re.compile(r"[^\s@<>\"(),;:\\\[\]]{1,64}")
_DOCUMENTATION = tuple(map(ipaddress.ip_network, (
    "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20",  # RFC 5737, 3849, 9637
)))


def slug(text: str) -> str:
    if not _SLUG.fullmatch(text):
        raise ValueError(f"'{text}' is no short name — write letters, digits, '.', '_' and '-', at most 64")
    return text


def one_line(text: str) -> str:
    """Text that can stand in a line of a protocol."""
    if not text.isprintable():
        raise ValueError("holds a character that cannot be printed — write it in one line")
    return text


def token_endpoint(text: str) -> str:
    """Where an OAuth 2 token endpoint is: https, as secrets are sent there (http on this machine only)."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    at_home = host in {"localhost", "127.0.0.1", "::1"}
    if not host or not text.isprintable() or parts.scheme not in ({"https", "http"} if at_home else {"https"}):
        raise ValueError(f"'{text}' is no address of a token endpoint — write https://…")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("a token endpoint's address holds no user, password or '#' — write https://…")
    return text


def addresses(text: str) -> Iterator[str]:
    """All addresses of `192.0.2.1`, `192.0.2.0/28` (first and last too) or `192.0.2.1-192.0.2.9`."""
    first, last = _bounds(text)
    if int(last) - int(first) >= MAX_RANGE:
        raise ValueError(f"'{text}' holds more than {MAX_RANGE:,} addresses — name only those that send")
    return (str(type(first)(number)) for number in range(int(first), int(last) + 1))


def address_range(text: str) -> str:
    """The text, stripped, when `addresses` can read it."""
    addresses(text)
    return text.strip()


def reserved_as(text: str) -> str | None:
    """Why the world never sees this canonical address; None when it can."""
    address = ipaddress.ip_address(text)
    if any(address in network for network in _DOCUMENTATION):
        return "documentation"
    return None if address.is_global else "private or reserved"


def domain_name(text: str) -> str:
    """A domain in lower case, as A-labels, without the final dot."""
    name = text.strip().removesuffix(".").lower()
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise ValueError(f"'{text}' is no domain name ({error}) — check its spelling") from None
    labels = name.split(".")
    if len(labels) < 2 or len(name) > 253 or not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdigit():
        raise ValueError(f"'{text}' is no domain name — write it such as news.example.com")
    return name


def canonical(dimension: str, value: str, providers: ProviderTable | None = None) -> str:
    """A value of a dimension as facts, restrictions and decisions have it. Raises ValueError.

    `providers` are those a name may mean (None: as shipped).
    Domains in ASCII are not checked: what is compared with them may not be in the inventory.
    """
    row = BY_NAME.get(dimension)
    if row is None:
        return value
    if row.form is Form.PROVIDER:
        return (providers or shipped()).of(value) or _domain(value)
    return _CANONICAL[row.form](value)


def _domain(value: str) -> str:
    return gate_names.domain_name(value) if value.isascii() else domain_name(value)


def _target(value: str) -> str:
    try:
        return address_name(value)
    except ValueError:
        return _domain(value)


_CANONICAL: Mapping[Form, Callable[[str], str]] = {
    Form.TEXT: str, Form.ADDRESS: address_name, Form.DOMAIN: _domain, Form.TARGET: _target,
}  # fmt: skip


def host_name(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError(f"'{text}' is no host — write only its name or address; the port is a key apart")
    return text.lower()


def own_header(text: str) -> str:
    """The name of a header field of one's own, in lower case."""
    if not _OWN_HEADER.fullmatch(text.lower()):
        raise ValueError(f"'{text}' is no header of your own — write it such as X-Customer")
    return text.lower()


def mail_address(text: str) -> str:
    """A mail address; only its domain is brought to canonical form."""
    local, _, domain = text.strip().rpartition("@")
    if not _LOCAL_PART.fullmatch(local):
        raise ValueError(f"'{text}' is no mail address — write it such as seed@example.com")
    return f"{local}@{domain_name(domain)}"


def _bounds(text: str) -> tuple[IpAddress, IpAddress]:
    if "/" in text:
        try:
            network = ipaddress.ip_network(text.strip(), strict=False)
        except ValueError:
            raise ValueError(f"'{text}' is no network — write it such as 192.0.2.0/28") from None
        first, last = ip_address(str(network[0])), ip_address(str(network[-1]))
        if str(first) != address_name(text.partition("/")[0]):
            raise ValueError(f"'{text}' begins inside its network — write {network}, or single addresses")
        return first, last
    start, dash, end = text.partition("-")
    first = ip_address(start)
    last = ip_address(end) if dash else first
    if type(first) is not type(last) or int(first) > int(last):
        raise ValueError(f"'{text}' is no range — write the lower address first, both of one family")
    return first, last
