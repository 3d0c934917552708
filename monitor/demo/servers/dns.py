"""An authoritative DNS server on loopback whose DNSBL zones can be changed while it runs.

It answers A and TXT over UDP and TCP as RFC 5782 describes a list: reversed octets, nibbles or a domain in
front of the zone, the test points of its section 5, NXDOMAIN with a SOA (RFC 2308) for all else, REFUSED for
zones it does not hold. It is the far side of the demo and of the tests, never of a real mail system: it knows
nothing of delegation, DNSSEC or EDNS options.
"""

from __future__ import annotations

import ipaddress
import socketserver
import struct
import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

TEST_POINTS = {  # RFC 5782 section 5
    "127.0.0.2": ("127.0.0.2",),
    "::ffff:7f00:2": ("127.0.0.2",),
    "test": ("127.0.0.2",),
}
_LONGEST_UDP_ANSWER = 512


class Entry(NamedTuple):
    codes: tuple[str, ...]
    txt: str | None


def owner_name(name: str) -> dns.name.Name:
    """The labels a target has in front of a zone: `192.0.2.7` → `7.2.0.192`, a domain → itself in lower case."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return dns.name.from_text(name.lower().rstrip("."), None)
    parts = str(address).split(".") if address.version == 4 else list(address.packed.hex())
    return dns.name.Name([part.encode() for part in reversed(parts)])


class DnsblServer:
    """`DnsblServer({"bl.example.net": {"192.0.2.7": ["127.0.0.2"]}}).start()` → the port on 127.0.0.1.

    Every zone also holds the RFC 5782 test points; give them other codes, or none, to change that.
    """

    def __init__(
        self,
        zones: Mapping[str, Mapping[str, Sequence[str]]],
        *,
        ttl_seconds: int = 300,
        negative_ttl_seconds: int = 60,
    ) -> None:
        self.ttl_seconds = ttl_seconds
        self.negative_ttl_seconds = negative_ttl_seconds
        self.asked_count = 0
        self.port = 0  # known once it is started
        self._zones: dict[dns.name.Name, dict[dns.name.Name, Entry]] = {}
        self._servers: list[socketserver.BaseServer] = []
        self._threads: list[threading.Thread] = []
        for zone, entries in zones.items():
            self._zones[dns.name.from_text(zone)] = {}
            for name, codes in {**TEST_POINTS, **entries}.items():
                self.list(zone, name, codes)

    def list(self, zone: str, name: str, codes: Sequence[str] = ("127.0.0.2",), txt: str | None = None) -> None:
        """List an address or a domain from the next answer on; no codes: the name exists and holds no A."""
        self._zones[dns.name.from_text(zone)][owner_name(name)] = Entry(tuple(codes), txt)

    def clear(self, zone: str, name: str) -> None:
        """Delist; clearing what is not listed is no error."""
        self._zones[dns.name.from_text(zone)].pop(owner_name(name), None)

    def start(self, port: int = 0) -> int:
        """Serve in two threads (UDP and TCP on the same port) until `close()`; returns the port."""
        udp, tcp = self._bound(port)
        for server in (udp, tcp):
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="demo-dns", daemon=True)
            thread.start()
            self._servers.append(server)
            self._threads.append(thread)
        self.port = int(udp.server_address[1])
        return self.port

    def _bound(self, port: int) -> tuple[_Udp, _Tcp]:
        """UDP and TCP on one port; of port 0 a few are tried, as one free for UDP may be taken for TCP."""
        for _ in range(20):
            udp = _Udp(("127.0.0.1", port), _UdpHandler)
            try:
                tcp = _Tcp(udp.server_address, _TcpHandler)
            except OSError:
                udp.server_close()
                if port:
                    raise
                continue
            udp.dnsbl = tcp.dnsbl = self
            return udp, tcp
        raise OSError("no port is free for both UDP and TCP")

    def close(self) -> None:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()
        self._servers.clear()
        self._threads.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answer(self, wire: bytes, longest: int) -> bytes | None:
        """One question in wire form → its answer; None for what no server answers."""
        try:
            query = dns.message.from_wire(wire)
        except (dns.exception.DNSException, ValueError):
            return None
        if query.flags & dns.flags.QR or len(query.question) != 1:
            return None
        self.asked_count += 1
        response = dns.message.make_response(query)
        self._fill(response, query.question[0])
        try:
            return response.to_wire(max_size=longest)
        except dns.exception.TooBig:
            short = dns.message.make_response(query)
            short.flags |= dns.flags.TC
            return short.to_wire()

    def _fill(self, response: dns.message.Message, question: dns.rrset.RRset) -> None:
        zone = max((zone for zone in self._zones if question.name.is_subdomain(zone)), key=len, default=None)
        if zone is None:
            response.set_rcode(dns.rcode.REFUSED)
            return
        response.flags |= dns.flags.AA
        entry = self._zones[zone].get(question.name.relativize(zone))
        texts: Sequence[str] = ()
        if entry and question.rdtype == dns.rdatatype.A:
            texts = entry.codes
        elif entry and question.rdtype == dns.rdatatype.TXT and entry.txt:
            texts = ['"' + entry.txt.replace("\\", "\\\\").replace('"', '\\"') + '"']
        if texts:
            response.answer.append(dns.rrset.from_text(question.name, self.ttl_seconds, "IN", question.rdtype, *texts))
            return
        if entry is None and question.name != zone:
            response.set_rcode(dns.rcode.NXDOMAIN)
        soa = f"ns.invalid. hostmaster.invalid. 1 3600 600 86400 {self.negative_ttl_seconds}"
        response.authority.append(dns.rrset.from_text(zone, self.negative_ttl_seconds, "IN", "SOA", soa))


class _Udp(socketserver.UDPServer):
    dnsbl: DnsblServer


class _Tcp(socketserver.ThreadingTCPServer):
    dnsbl: DnsblServer
    allow_reuse_address = True
    daemon_threads = True


class _UdpHandler(socketserver.BaseRequestHandler):
    server: _Udp

    def handle(self) -> None:
        wire, socket = self.request
        answer = self.server.dnsbl.answer(wire, _LONGEST_UDP_ANSWER)
        if answer is not None:
            socket.sendto(answer, self.client_address)


class _TcpHandler(socketserver.StreamRequestHandler):
    server: _Tcp
    timeout = 5

    def handle(self) -> None:
        try:
            while len(prefix := self.rfile.read(2)) == 2:
                answer = self.server.dnsbl.answer(self.rfile.read(struct.unpack("!H", prefix)[0]), 65535)
                if answer is None:
                    return
                self.wfile.write(struct.pack("!H", len(answer)) + answer)
        except (TimeoutError, ConnectionError):
            return
