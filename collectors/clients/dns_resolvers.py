"""Which resolvers are asked: those the user names, else the system's own, never a public one unasked.

Most DNSBLs refuse public resolvers (or answer "not listed" for them), so one of those is taken only where the
user names it. A resolver on this machine may still forward to a public one; the canaries find that out.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path

from collectors.clients.dns import Server
from collectors.contract import CollectorError, Reason

WHAT_TO_SET = (
    "name a resolver of your own that asks the lists itself (unbound, BIND or Knot on this machine or network): "
    "--resolver HOST:PORT, or `collectors.dnsbl.resolvers` in the settings"
)
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%\w+)?")
_SYSTEM = Path("/etc/resolv.conf")
_PUBLIC = {
    name: [ipaddress.ip_network(network) for network in networks.split()]
    for name, networks in {
        "Google": "8.8.8.8/32 8.8.4.4/32 2001:4860:4860::/48",
        "Cloudflare": "1.1.1.0/24 1.0.0.0/24 2606:4700:4700::/48",
        "Quad9": "9.9.9.0/24 149.112.112.0/24 2620:fe::/48",
        "OpenDNS": "208.67.216.0/21 2620:119::/32 2620:0:ccc::/48 2620:0:ccd::/48",
        "AdGuard": "94.140.14.0/24 94.140.15.0/24 2a10:50c0::/32",
        "Level 3": "4.2.2.0/29",
        "Verisign": "64.6.64.0/23 2620:74::/32",
        "Neustar": "156.154.70.0/23 2610:a1:1018::/47",
        "Control D": "76.76.2.0/24 76.76.10.0/24",
        "DNS.WATCH": "84.200.69.80/32 84.200.70.40/32",
        "CleanBrowsing": "185.228.168.0/23",
        "Yandex": "77.88.8.0/24 2a02:6b8::feed:0/112",
        "AliDNS": "223.5.5.5/32 223.6.6.6/32",
        "DNSPod": "119.29.29.29/32",
        "114DNS": "114.114.114.0/24 114.114.115.0/24",
        "dns0.eu": "193.110.81.0/24 185.253.5.0/24",
    }.items()
}


def parse_server(text: str) -> Server:
    """`HOST`, `HOST:PORT`, `[IPV6]:PORT` → a server; CollectorError(config) where it is none of these."""
    try:
        host, port = host_and_port(text)
    except ValueError as error:
        raise CollectorError(Reason.CONFIG, str(error)) from None
    try:
        return Server(str(ipaddress.ip_address(host)), port)
    except ValueError:
        return _looked_up(host, port)


def host_and_port(text: str) -> tuple[str, int]:
    """The parts of a resolver's address; no name is looked up. Raises ValueError."""
    host, port = text.strip(), "53"
    if host.startswith("["):
        host, _, rest = host[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    if not _HOST.fullmatch(host) or not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is no resolver — write HOST:PORT or [IPV6]:PORT")
    if ":" in host or re.fullmatch(r"[0-9.]+", host):
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError(f"{text!r} is no resolver: {host} is no IP address — write HOST:PORT or [IPV6]:PORT") from None
    return host, int(port)


def _looked_up(host: str, port: int) -> Server:
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise CollectorError(Reason.CONFIG, f"the resolver {host!r} has no address: {error}") from error
    first = min(addresses, key=lambda each: each[0] != socket.AF_INET)  # `localhost` is often served on 127.0.0.1 alone
    return Server(str(first[4][0]), port)


def public_name(server: Server) -> str | None:
    """Whose public resolver this is, None for one that is not known as such."""
    address = ipaddress.ip_address(server.host)
    for name, networks in _PUBLIC.items():
        if any(address in network for network in networks):
            return name
    return None


def system_servers(path: Path = _SYSTEM) -> tuple[Server, ...]:
    """The system's resolvers that are not public; CollectorError(config) says what to set where none is left."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise CollectorError(Reason.CONFIG, f"{path} cannot be read ({error.strerror}); {WHAT_TO_SET}") from error
    servers, public = [], []
    for words in (line.split() for line in lines):
        if len(words) < 2 or words[0] != "nameserver":
            continue
        try:
            server = Server(str(ipaddress.ip_address(words[1])))
        except ValueError:
            continue  # rubbish: the next line may do
        if name := public_name(server):
            public.append(f"{server.host} ({name})")
        else:
            servers.append(server)
    if not servers:
        why = f"the system asks public resolvers: {', '.join(public)}" if public else f"{path} names no resolver"
        raise CollectorError(Reason.CONFIG, f"{why}; DNSBLs do not answer those truthfully; {WHAT_TO_SET}")
    return tuple(servers)
