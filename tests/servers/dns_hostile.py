"""A DNS server that misbehaves, zone by zone, in every way a wire can carry.

`Hostile({"wrong-id.example.net": behaviours.wrong_id})`: a behaviour gets what was asked and gives the datagrams
to send, in order; None sends nothing. Test points (127.0.0.2, 127.0.0.1, random) get the same treatment, unless
the behaviour is wrapped in `but_for_canaries`.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

A, TXT, AAAA, CNAME, SOA, NS, OPT = 1, 16, 28, 5, 6, 2, 41
POINTER = b"\xc0\x0c"


@dataclass(frozen=True)
class Asked:
    """One question as it came; `nth` counts the same question from 1."""

    ident: bytes
    question: bytes  # name, type, class
    name: str
    rdtype: int
    nth: int
    port: int = 0  # asked from
    over_tcp: bool = False

    def head(self, *, flags: int = 0x8580, rcode: int = 0, qd: int = 1, an: int = 0, ns: int = 0, ar: int = 0) -> bytes:
        return self.ident + struct.pack("!HHHHH", flags | rcode, qd, an, ns, ar)

    def reply(self, *records: bytes, rcode: int = 0, flags: int = 0x8580, ns: int = 0, ar: int = 0) -> bytes:
        answers = len(records) - ns - ar
        return self.head(flags=flags, rcode=rcode, an=answers, ns=ns, ar=ar) + self.question + b"".join(records)


def rr(rdtype: int, rdata: bytes, *, owner: bytes = POINTER, ttl: int = 300, rdclass: int = 1) -> bytes:
    return owner + struct.pack("!HHIH", rdtype, rdclass, ttl, len(rdata)) + rdata


def a(address: str = "127.0.0.2", **options: object) -> bytes:
    return rr(A, bytes(map(int, address.split("."))), **options)


def labels(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


SOA_RECORD = rr(SOA, b"\0\0" + struct.pack("!IIIII", 1, 2, 3, 4, 77), ttl=300)
Behaviour = Callable[[Asked], Iterable[bytes] | None]


def listed(query: Asked, *addresses: str) -> list[bytes]:
    return [query.reply(*(a(address) for address in addresses or ("127.0.0.2",)))]


def clean(query: Asked) -> list[bytes]:
    return [query.reply(SOA_RECORD, rcode=3, ns=1)]


def but_for_canaries(behaviour: Behaviour) -> Behaviour:
    """Right about the RFC 5782 test points and about all that is not 192.0.2.x; the behaviour for those."""

    def treat(query: Asked) -> Iterable[bytes] | None:
        if ".2.0.192." in query.name:
            return behaviour(query)
        return listed(query) if query.name.startswith("2.0.0.127.") else clean(query)

    return treat


class Hostile:
    """UDP and TCP on one loopback port. `tcp`: zones that answer over TCP, with their behaviour there."""

    def __init__(
        self, zones: Mapping[str, Behaviour], tcp: Mapping[str, Behaviour] | None = None, listen_tcp: bool = True
    ) -> None:
        self.zones = dict(zones)
        self.tcp = dict(tcp or {})
        self.asked: list[Asked] = []
        self._counts: dict[bytes, int] = {}
        self._stop = threading.Event()
        self._udp, self._listener = _pair(listen_tcp)
        self.port: int = self._udp.getsockname()[1]
        self._other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # for answers from elsewhere
        self._threads = [threading.Thread(target=self._serve_udp, daemon=True)]
        if self._listener:
            self._threads.append(threading.Thread(target=self._serve_tcp, daemon=True))
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for opened in (self._udp, self._other, self._listener):
            if opened:
                opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _asked(self, wire: bytes, port: int, *, over_tcp: bool) -> Asked:
        at, names = 12, []
        while wire[at]:
            names.append(wire[at + 1 : at + 1 + wire[at]].decode())
            at += wire[at] + 1
        question = wire[12 : at + 5]
        nth = self._counts[question] = self._counts.get(question, 0) + 1
        query = Asked(wire[:2], question, ".".join(names), struct.unpack("!H", question[-4:-2])[0], nth, port, over_tcp)
        self.asked.append(query)
        return query

    def _behaviour(self, zones: Mapping[str, Behaviour], name: str) -> Behaviour | None:
        return next((how for zone, how in zones.items() if name.endswith("." + zone)), None)

    def _serve_udp(self) -> None:
        while not self._stop.is_set():
            try:
                wire, peer = self._udp.recvfrom(4096)
            except TimeoutError:
                continue
            query = self._asked(wire, peer[1], over_tcp=False)
            behaviour = self._behaviour(self.zones, query.name)
            for answer in (behaviour(query) if behaviour else [query.reply(rcode=5)]) or ():
                if isinstance(answer, Spoofed):
                    self._other.sendto(answer, peer)
                elif isinstance(answer, Late):
                    threading.Thread(target=self._later, args=(answer, peer), daemon=True).start()
                else:
                    self._udp.sendto(answer, peer)

    def _later(self, answer: Late, peer: tuple[str, int]) -> None:
        if not self._stop.wait(answer.seconds):
            with contextlib.suppress(OSError):  # closed this moment
                self._udp.sendto(answer, peer)

    def _serve_tcp(self) -> None:
        assert self._listener
        while not self._stop.is_set():
            try:
                connection, peer = self._listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=self._serve_connection, args=(connection, peer[1]), daemon=True).start()

    def _serve_connection(self, connection: socket.socket, port: int) -> None:
        with connection, contextlib.suppress(OSError):  # the other side may have lost patience
            connection.settimeout(5)
            query = self._asked(connection.recv(4096)[2:], port, over_tcp=True)
            behaviour = self._behaviour(self.tcp, query.name)
            for answer in (behaviour(query) if behaviour else ()) or ():
                if isinstance(answer, Late) and self._stop.wait(answer.seconds):
                    return
                whole = struct.pack("!H", len(answer)) + answer
                for at in range(0, len(whole), 7 if isinstance(answer, Drops) else len(whole)):
                    connection.sendall(whole[at : at + (7 if isinstance(answer, Drops) else len(whole))])


def _pair(listen_tcp: bool) -> tuple[socket.socket, socket.socket | None]:
    """A UDP and a TCP socket on one port that both are free to have."""
    for _ in range(20):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(0.05)
        if not listen_tcp:
            return udp, None
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            tcp.bind(udp.getsockname())
        except OSError:
            udp.close()
            tcp.close()
            continue
        tcp.listen(8)
        tcp.settimeout(0.05)
        return udp, tcp
    raise OSError("no port is free for both UDP and TCP")


class Drops(bytes):
    """Sent over TCP a few octets at a time."""


class Spoofed(bytes):
    """Sent from another port than the one asked."""


class Late(bytes):
    """Sent after a while."""

    seconds: float

    def __new__(cls, wire: bytes, seconds: float) -> Self:
        late = super().__new__(cls, wire)
        late.seconds = seconds
        return late


def truncated(query: Asked) -> list[bytes]:
    return [query.reply(flags=0x8780)]


def _other_id(query: Asked) -> bytes:
    return bytes([query.ident[0] ^ 1, query.ident[1]])


# name → what comes back over UDP, and what must be made of it: (verdict, reason)
UNKNOWN_TIMEOUT, UNKNOWN_SERVFAIL = ("unknown", "timeout"), ("unknown", "servfail")
UNKNOWN_REFUSED, UNKNOWN_REWRITTEN = ("unknown", "refused"), ("unknown", "rewritten")
LISTED, CLEAN = ("listed", None), ("not_listed", None)

CASES: dict[str, tuple[Behaviour, tuple[str, str | None]]] = {
    "plain-listed": (listed, LISTED),
    "plain-clean": (clean, CLEAN),
    "no-soa": (lambda q: [q.reply(rcode=3)], CLEAN),
    "nodata": (lambda q: [q.reply(SOA_RECORD, ns=1)], CLEAN),
    "two-codes": (lambda q: listed(q, "127.0.0.4", "127.0.0.2"), LISTED),
    "code-and-unknown-code": (lambda q: listed(q, "127.0.0.2", "127.0.0.77"), LISTED),
    "with-authority": (lambda q: [q.reply(a(), rr(NS, labels("ns.example.org")), ns=1)], LISTED),
    "with-edns": (lambda q: [q.reply(a(), b"\0" + struct.pack("!HHIH", OPT, 1232, 0, 0), ar=1)], LISTED),
    "and-rrsig": (lambda q: [q.reply(a(), rr(46, b"\0" * 24))], LISTED),
    "and-aaaa": (lambda q: [q.reply(a(), rr(AAAA, b"\0" * 15 + b"\1"))], LISTED),
    "ttl-2-31": (lambda q: [q.reply(a(ttl=2**31))], LISTED),
    "ttl-all-ones": (lambda q: [q.reply(a(ttl=2**32 - 1))], LISTED),
    "other-case": (lambda q: [q.head(an=1) + q.question[:-4].upper() + q.question[-4:] + a()], LISTED),
    "full-owner-name": (lambda q: [q.reply(a(owner=q.question[:-4]))], LISTED),
    "duplicate-record": (lambda q: listed(q, "127.0.0.2", "127.0.0.2"), LISTED),
    "sent-twice": (lambda q: listed(q) * 2, LISTED),
    "rubbish-then-truth": (lambda q: [b"", b"\0", q.ident, b"\xff" * 40, *listed(q)], LISTED),
    "wrong-id-then-truth": (lambda q: [_other_id(q) + clean(q)[0][2:], *listed(q)], LISTED),
    "spoofed-then-truth": (lambda q: [Spoofed(clean(q)[0]), *listed(q)], LISTED),
    "first-lost": (lambda q: None if q.nth == 1 else listed(q), LISTED),
    "first-servfail": (lambda q: [q.reply(rcode=2)] if q.nth == 1 else clean(q), CLEAN),
    "late-then-other": (lambda q: [Late(listed(q)[0], 0.5)] if q.nth == 1 else clean(q), CLEAN),
    "cname": (
        lambda q: [q.reply(rr(CNAME, labels("x.example.org")), a(owner=labels("x.example.org")))], LISTED),
    "cname-to-nowhere": (lambda q: [q.reply(rr(CNAME, labels("x.example.org")), rcode=3)], CLEAN),
    "cname-unfinished": (lambda q: [q.reply(rr(CNAME, labels("x.example.org")))], UNKNOWN_SERVFAIL),
    "cname-to-no-data": (lambda q: [q.reply(rr(CNAME, labels("x.example.org")), SOA_RECORD, ns=1)], CLEAN),
    "lame": (lambda q: [q.reply(flags=0x8100)], UNKNOWN_SERVFAIL),
    "lame-with-aa": (lambda q: [q.reply()], UNKNOWN_SERVFAIL),
    "upward-referral": (lambda q: [q.reply(rr(NS, labels("a.example.org"), owner=b"\0"), ns=1, flags=0x8100)], UNKNOWN_SERVFAIL),
    "cname-loop": (lambda q: [q.reply(rr(CNAME, POINTER))], UNKNOWN_SERVFAIL),
    "cname-to-rewritten": (
        lambda q: [q.reply(rr(CNAME, labels("x.example.org")), a("192.0.2.1", owner=labels("x.example.org")))],
        UNKNOWN_REWRITTEN),
    "refused-code": (lambda q: listed(q, "127.255.255.254"), UNKNOWN_REFUSED),
    "refused-code-beside-code": (lambda q: listed(q, "127.0.0.2", "127.255.255.255"), UNKNOWN_REFUSED),
    "loopback": (lambda q: listed(q, "127.0.0.1"), UNKNOWN_REFUSED),
    "outside": (lambda q: listed(q, "203.0.113.9"), UNKNOWN_REWRITTEN),
    "outside-beside-code": (lambda q: listed(q, "127.0.0.2", "203.0.113.9"), UNKNOWN_REWRITTEN),
    "zero": (lambda q: listed(q, "0.0.0.0"), UNKNOWN_REWRITTEN),
    "unknown-code": (lambda q: listed(q, "127.0.0.77"), UNKNOWN_REWRITTEN),
    "servfail": (lambda q: [q.reply(rcode=2)], UNKNOWN_SERVFAIL),
    "formerr": (lambda q: [q.reply(rcode=1)], UNKNOWN_SERVFAIL),
    "formerr-without-question": (lambda q: [q.head(rcode=1, qd=0)], UNKNOWN_SERVFAIL),
    "notimp": (lambda q: [q.reply(rcode=4)], UNKNOWN_SERVFAIL),
    "rcode-15": (lambda q: [q.reply(rcode=15)], UNKNOWN_SERVFAIL),
    "refused": (lambda q: [q.reply(rcode=5)], UNKNOWN_REFUSED),
    "refused-with-a": (lambda q: [q.reply(a(), rcode=5)], UNKNOWN_REFUSED),
    "servfail-with-a": (lambda q: [q.reply(a(), rcode=2)], UNKNOWN_SERVFAIL),
    "silent": (lambda q: None, UNKNOWN_TIMEOUT),
    "empty": (lambda q: [b""], UNKNOWN_TIMEOUT),
    "one-byte": (lambda q: [q.ident[:1]], UNKNOWN_TIMEOUT),
    "eleven-bytes": (lambda q: [listed(q)[0][:11]], UNKNOWN_TIMEOUT),
    "header-only": (lambda q: [listed(q)[0][:12]], UNKNOWN_TIMEOUT),
    "cut-in-question": (lambda q: [listed(q)[0][:20]], UNKNOWN_TIMEOUT),
    "wrong-id": (lambda q: [_other_id(q) + listed(q)[0][2:]], UNKNOWN_TIMEOUT),
    "wrong-question": (lambda q: [q.head(an=1) + labels("other.example.net") + b"\0\1\0\1" + a()], UNKNOWN_TIMEOUT),
    "wrong-type": (lambda q: [q.head(an=1) + q.question[:-4] + b"\0\x10\0\1" + a()], UNKNOWN_TIMEOUT),
    "wrong-class": (lambda q: [q.head(an=1) + q.question[:-2] + b"\0\3" + a()], UNKNOWN_TIMEOUT),
    "spoofed": (lambda q: [Spoofed(listed(q)[0])], UNKNOWN_TIMEOUT),
    "not-a-response": (lambda q: [q.reply(a(), flags=0x0580)], UNKNOWN_TIMEOUT),
    "opcode-4": (lambda q: [q.reply(a(), flags=0xA580)], UNKNOWN_TIMEOUT),
    "no-question": (lambda q: [q.head(qd=0, an=1) + rr(A, b"\x7f\0\0\2", owner=q.question[:-4])], UNKNOWN_TIMEOUT),
    "nxdomain-without-question": (lambda q: [q.head(qd=0, rcode=3)], UNKNOWN_TIMEOUT),
    "two-questions": (lambda q: [q.head(qd=2, an=1) + q.question * 2 + a()], UNKNOWN_TIMEOUT),
    "too-late": (lambda q: [Late(listed(q)[0], 600)], UNKNOWN_TIMEOUT),
    "truncated-without-tcp": (truncated, UNKNOWN_TIMEOUT),
    "more-promised": (lambda q: [q.head(an=3) + q.question + a()], UNKNOWN_SERVFAIL),
    "none-promised": (lambda q: [q.head(an=0) + q.question + a()], UNKNOWN_SERVFAIL),
    "garbage-after": (lambda q: [listed(q)[0] + b"garbage"], UNKNOWN_SERVFAIL),
    "garbage-after-nxdomain": (lambda q: [clean(q)[0] + b"\0"], UNKNOWN_SERVFAIL),
    "rdlength-3": (lambda q: [q.reply(rr(A, b"\x7f\0\0"))], UNKNOWN_SERVFAIL),
    "rdlength-5": (lambda q: [q.reply(rr(A, b"\x7f\0\0\2\0"))], UNKNOWN_SERVFAIL),
    "rdlength-lies": (lambda q: [q.reply(POINTER + struct.pack("!HHIH", A, 1, 300, 400) + b"\x7f\0\0\2")], UNKNOWN_SERVFAIL),
    "pointer-to-itself": (lambda q: [q.reply(a(owner=struct.pack("!H", 0xC000 | (12 + len(q.question)))))], UNKNOWN_SERVFAIL),
    "pointer-forward": (lambda q: [q.reply(a(owner=b"\xff\xff"))], UNKNOWN_SERVFAIL),
    "only-aaaa": (lambda q: [q.reply(rr(AAAA, b"\0" * 15 + b"\1"))], UNKNOWN_SERVFAIL),
    "only-chaos": (lambda q: [q.reply(a(rdclass=3))], UNKNOWN_SERVFAIL),
    "only-other-owner": (lambda q: [q.reply(a(owner=labels("other.example.net")))], UNKNOWN_SERVFAIL),
    "nxdomain-with-a": (lambda q: [q.reply(a(), rcode=3)], UNKNOWN_SERVFAIL),
    "referral": (lambda q: [q.reply(rr(NS, labels("ns.example.org")), ns=1, flags=0x8000)], UNKNOWN_SERVFAIL),
}
