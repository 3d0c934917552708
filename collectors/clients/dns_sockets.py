"""The UDP sockets towards one resolver, and what is in flight on them."""

from __future__ import annotations

import os
import socket
from typing import Any, NamedTuple

from collectors.clients.dns_pacing import Throttle

_ENTROPY = 4096
_DOWN_AFTER = 20  # questions in a row without an answer, whatever the list
_DOWN_SECONDS = 10.0  # how long another resolver is preferred then


class Server(NamedTuple):
    """A resolver, by numeric address."""

    host: str
    port: int = 53

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Flight:
    """One question under way. `open`: sent and not answered; `counted`: it takes a place in its server's window."""

    __slots__ = ("attempt", "counted", "ident", "lane", "open", "port", "sent_at", "started", "token", "wire")

    port: Port
    ident: bytes
    sent_at: float
    open: bool
    counted: bool

    def __init__(self, wire: bytes, token: Any, lane: Any, started: float) -> None:
        self.wire = wire
        self.token = token
        self.lane = lane  # the dns_lane.Lane it came from; nothing here looks into it
        self.attempt = 0
        self.started = started


class Port:
    """One connected socket (the kernel drops what comes from elsewhere) and what is in flight on it, by id."""

    __slots__ = ("idents", "peer", "pending", "socket")

    def __init__(self, peer: Peer, connected: socket.socket) -> None:
        self.peer = peer
        self.socket = connected
        self.pending: dict[bytes, Flight] = {}
        self.idents: list[bytes] = []

    def new_ident(self) -> bytes:
        """A random id that is not in use here, for when `idents`, where more of them lie ready, has none."""
        while True:
            if not self.idents:
                entropy = os.urandom(_ENTROPY)
                self.idents = [entropy[at : at + 2] for at in range(0, _ENTROPY, 2)]
            ident = self.idents.pop()
            if ident not in self.pending:
                return ident


class Peer:
    """A resolver with its sockets; none where the network refused even to try."""

    __slots__ = ("address", "down_until", "in_flight", "lost_in_a_row", "ports", "throttle", "turn")

    def __init__(self, address: Server, sockets: int) -> None:
        self.address = address
        self.in_flight = 0
        self.turn = 0
        self.lost_in_a_row = 0
        self.down_until = 0.0
        self.throttle = Throttle()
        self.ports: list[Port] = []
        for _ in range(sockets):
            try:
                self.ports.append(Port(self, _connected(address)))
            except OSError:
                break

    def forget_overdue(self, sent_before: float) -> None:
        """Take questions sent before then out of the window: the server has long read them."""
        for port in self.ports:
            for flight in port.pending.values():  # oldest first
                if flight.sent_at > sent_before:
                    break
                if flight.counted:
                    flight.counted = False
                    self.in_flight -= 1

    def missed(self, now: float, *, unreachable: bool) -> None:
        """A question got no answer: after some in a row another resolver is preferred for a while."""
        self.lost_in_a_row += 1
        if unreachable or self.lost_in_a_row >= _DOWN_AFTER:
            self.down_until = now + _DOWN_SECONDS

    def close(self) -> None:
        for port in self.ports:
            port.socket.close()


def _connected(address: Server) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    fresh = socket.socket(family, socket.SOCK_DGRAM)
    try:
        fresh.setblocking(False)
        fresh.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        fresh.connect((address.host, address.port))
    except OSError:
        fresh.close()
        raise
    return fresh
