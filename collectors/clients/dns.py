"""The DNS door: asks many plain questions over a few shared UDP sockets, in the thread that calls it.

`ask` is a bare non-blocking socket loop: no event loop, no message objects, one dictionary look-up per answer.
An answer counts only if it came from the server asked (connected sockets: the kernel checks address and port),
to the socket asked from, with the random id and the very question asked; anything else is dropped unread and
the question waits for its deadline on the monotonic clock. A question that gets no believable answer is asked
once more from another socket with another id, at the next server where there are several. A truncated answer
is fetched over TCP in a side thread. What comes late, twice or forged is ignored.

The caller may take its time between two chunks: what arrived meanwhile waits in the sockets and is read before
any deadline is looked at. Written after RFC 1035, 5452 (forged answers), 7766 (TCP).
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from collectors.clients.dns_tcp import ask_tcp
from collectors.clients.dns_wire import (
    FORMERR,
    NOERROR,
    NXDOMAIN,
    QUERY_HEADER,
    REFUSED,
    Answer,
    is_ours,
    parse_full,
    parse_plain,
)
from collectors.contract import Reason

_LONGEST_DATAGRAM = 4096
_CHUNK = 64  # a window: while the caller works on one, the servers work on the next
_ENTROPY = 4096
_LINGER_SECONDS = 0.05  # the longest an answer waits for its chunk to fill
_TCP_POLL_SECONDS = 0.01
_LONGEST_SLEEP_SECONDS = 0.25  # how late a stop may be noticed
# a few sockets, waited for rarely: poll asks the kernel for nothing while answers pour in, epoll does at each
_Selector = getattr(selectors, "PollSelector", selectors.DefaultSelector)
_ERRORS = frozenset(range(16)) - {NOERROR, NXDOMAIN}
_BURST = 8  # questions taken from one lane before the next has its turn


class Server(NamedTuple):
    """A resolver, by numeric address."""

    host: str
    port: int = 53

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Question(NamedTuple):
    """Owner name, type and class in wire form (lower case), and what the caller knows it by."""

    wire: bytes
    token: Any


class Reply(NamedTuple):
    """`answer`, or the reason why there is none: timeout, or network (the server cannot be reached)."""

    token: Any
    answer: Answer | None
    reason: Reason | None
    elapsed_seconds: float


@dataclass(frozen=True, slots=True)
class Pace:
    """How patiently and how hard a server is asked."""

    timeout_seconds: float = 2.0  # for one attempt
    attempts: int = 2
    window: int = 128  # in flight per server; 200 overrun a server's receive buffer
    sockets: int = 4  # per server, each with its own random port


class Lane:
    """Questions that share an operator: at most `window` in flight, one per `interval_seconds` at most.

    `add` may be called at any time, also while answers are being read.
    """

    __slots__ = ("added", "in_flight", "interval_seconds", "next_at", "questions", "servers", "window")

    def __init__(
        self, servers: Sequence[Server], questions: Iterable[Question] = (), *, window: int = 32, interval_seconds: float = 0
    ) -> None:
        self.servers = tuple(servers)
        self.questions = iter(questions)
        self.window = window
        self.interval_seconds = interval_seconds
        self.added: deque[Question] = deque()
        self.in_flight = 0
        self.next_at = 0.0

    def add(self, question: Question) -> None:
        self.added.append(question)


class _Flight(NamedTuple):
    wire: bytes
    token: Any
    lane: Lane
    attempt: int
    started: float
    deadline: float
    port: _Port
    ident: bytes


class _Port:
    """One connected socket and what is in flight on it, by id."""

    __slots__ = ("pending", "server", "socket")

    def __init__(self, server: _Peer, connected: socket.socket) -> None:
        self.server = server
        self.socket = connected
        self.pending: dict[bytes, _Flight] = {}


class _Peer:
    """A server with its sockets; none where the network refused even to try."""

    __slots__ = ("address", "in_flight", "ports", "turn")

    def __init__(self, address: Server, sockets: int) -> None:
        self.address = address
        self.in_flight = 0
        self.turn = 0
        self.ports: list[_Port] = []
        for _ in range(sockets):
            try:
                self.ports.append(_Port(self, _connected(address)))
            except OSError:
                break


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


def ask(
    lanes: Sequence[Lane], pace: Pace | None = None, stopping: Callable[[], bool] = lambda: False
) -> Iterator[list[Reply]]:
    """Ask what is in the lanes; yield replies in chunks as they come, exactly one per question.

    When `stopping` turns true, what is in flight is given up and the iterator ends.
    """
    with _Loop(lanes, pace or Pace()) as loop:
        yield from loop.run(stopping)


class _Loop:
    def __init__(self, lanes: Sequence[Lane], pace: Pace) -> None:
        self.lanes = lanes
        self.pace = pace
        self.peers = {
            server: _Peer(server, pace.sockets) for server in dict.fromkeys(s for lane in lanes for s in lane.servers)
        }
        self.routes = {lane: [self.peers[server] for server in lane.servers] for lane in lanes}
        self.ports = [port for peer in self.peers.values() for port in peer.ports]
        self.selector = _Selector()
        for port in self.ports:
            self.selector.register(port.socket, selectors.EVENT_READ)
        self.deadlines: deque[_Flight] = deque()
        self.replies: list[Reply] = []
        self.fetched: deque[tuple[_Flight, Answer | None]] = deque()  # over TCP, filled by the side threads
        self.fetching = 0
        self.fetchers: ThreadPoolExecutor | None = None
        self.turn = 0
        self.idents: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.fetchers:
            self.fetchers.shutdown(wait=False, cancel_futures=True)
        self.selector.close()
        for port in self.ports:
            port.socket.close()

    def run(self, stopping: Callable[[], bool]) -> Iterator[list[Reply]]:
        yielded_at = time.monotonic()
        while not stopping():
            read = self._read()
            now = time.monotonic()
            self._expire(now)
            wake_at = self._fill(now)
            idle = not (self.deadlines or self.fetching or wake_at)
            if len(self.replies) >= _CHUNK or (self.replies and (idle or now - yielded_at > _LINGER_SECONDS)):
                chunk, self.replies = self.replies, []
                yield chunk
                yielded_at = time.monotonic()
            elif idle:
                return
            elif not read:
                self._sleep(now, wake_at)

    def _sleep(self, now: float, wake_at: float) -> None:
        until = now + (_LINGER_SECONDS if self.replies else _LONGEST_SLEEP_SECONDS)
        if self.deadlines:
            until = min(until, self.deadlines[0].deadline)
        if wake_at:
            until = min(until, wake_at)
        if self.fetching:
            until = min(until, now + _TCP_POLL_SECONDS)
        self.selector.select(max(0.0, until - now))

    # --- asking

    def _fill(self, now: float) -> float:
        """Send what lanes and windows allow; the time when a paced lane may go on, 0 where none waits."""
        wake_at = 0.0
        count = len(self.lanes)
        for offset in range(count):
            lane = self.lanes[(self.turn + offset) % count]
            peer = self.routes[lane][0]
            for _ in range(_BURST):
                if lane.in_flight >= lane.window or peer.in_flight >= self.pace.window:
                    break
                if lane.interval_seconds and lane.next_at > now:
                    wake_at = min(wake_at or lane.next_at, lane.next_at)
                    break
                question = lane.added.popleft() if lane.added else next(lane.questions, None)
                if question is None:
                    break
                lane.next_at = now + lane.interval_seconds
                self._send(question, lane, 0, now)
        self.turn += 1
        return wake_at

    def _send(self, question: Question | _Flight, lane: Lane, attempt: int, started: float) -> None:
        wire, token = question[0], question[1]
        route = self.routes[lane]
        peer = route[attempt % len(route)] if attempt else route[0]
        if not peer.ports:
            if attempt + 1 < self.pace.attempts:
                self._send(question, lane, attempt + 1, started)
            else:
                self.replies.append(Reply(token, None, Reason.NETWORK, time.monotonic() - started))
            return
        peer.turn = turn = (peer.turn + 1) % len(peer.ports)
        port = peer.ports[turn]
        ident = self._ident(port)
        deadline = time.monotonic() + self.pace.timeout_seconds
        flight = _Flight(wire, token, lane, attempt, started, deadline, port, ident)
        port.pending[ident] = flight
        self.deadlines.append(flight)
        lane.in_flight += 1
        peer.in_flight += 1
        try:
            port.socket.send(ident + QUERY_HEADER + wire)
        except BlockingIOError:
            pass  # the send buffer is full: as good as lost on the way, the deadline will see to it
        except OSError:
            self._broken(port)

    def _ident(self, port: _Port) -> bytes:
        while True:
            if not self.idents:
                entropy = os.urandom(_ENTROPY)
                self.idents = [entropy[at : at + 2] for at in range(0, _ENTROPY, 2)]
            ident = self.idents.pop()
            if ident not in port.pending:
                return ident

    # --- hearing

    def _read(self) -> int:
        heard = sum(self._drain(port) for port in self.ports)
        while self.fetched:
            flight, answer = self.fetched.popleft()
            self.fetching -= 1
            flight.lane.in_flight -= 1
            self._done(flight, answer, Reason.TIMEOUT if answer is None else None)
            heard += 1
        return heard

    def _drain(self, port: _Port) -> int:
        """Read what a socket holds, a window's worth at most, so that asking goes on under a flood."""
        receive, pending = port.socket.recv, port.pending
        for heard in range(self.pace.window):
            try:
                wire = receive(_LONGEST_DATAGRAM)
            except BlockingIOError:
                return heard
            except OSError:
                self._broken(port)
                return heard
            flight = pending.get(wire[:2])
            if flight is None or not is_ours(wire, flight.wire):
                continue
            del pending[flight.ident]
            lane = flight.lane
            lane.in_flight -= 1
            port.server.in_flight -= 1
            answer = parse_plain(wire, 12 + len(flight.wire)) or parse_full(wire, flight.wire)
            if answer.truncated:
                self._fetch(flight)
            elif answer.malformed or answer.rcode in _ERRORS:
                self._disappointed(flight, answer)
            else:
                elapsed = time.monotonic() - flight.started
                self.replies.append(Reply(flight.token, answer, None, elapsed))
        return self.pace.window

    def _disappointed(self, flight: _Flight, answer: Answer) -> None:
        """A broken answer is worth another try; a refusal only at another server."""
        another = len(flight.lane.servers) > 1
        if flight.attempt + 1 < self.pace.attempts and (another or answer.rcode not in (REFUSED, FORMERR)):
            self._send(flight, flight.lane, flight.attempt + 1, flight.started)
        else:
            self._done(flight, answer, None)

    def _done(self, flight: _Flight, answer: Answer | None, reason: Reason | None) -> None:
        self.replies.append(Reply(flight.token, answer, reason, time.monotonic() - flight.started))

    def _expire(self, now: float) -> None:
        deadlines = self.deadlines
        while deadlines:
            flight = deadlines[0]
            if flight.port.pending.get(flight.ident) is flight:
                if flight.deadline > now:
                    return
                self._lost(flight, Reason.TIMEOUT)
            deadlines.popleft()

    def _lost(self, flight: _Flight, reason: Reason) -> None:
        del flight.port.pending[flight.ident]
        flight.lane.in_flight -= 1
        flight.port.server.in_flight -= 1
        if flight.attempt + 1 < self.pace.attempts:
            self._send(flight, flight.lane, flight.attempt + 1, flight.started)
        else:
            self._done(flight, None, reason)

    def _broken(self, port: _Port) -> None:
        """The kernel reports the server unreachable (ICMP): nothing in flight on this socket will be answered."""
        for flight in list(port.pending.values()):
            if port.pending.get(flight.ident) is flight:
                self._lost(flight, Reason.NETWORK)

    # --- truncated answers

    def _fetch(self, flight: _Flight) -> None:
        if self.fetchers is None:
            self.fetchers = ThreadPoolExecutor(4, thread_name_prefix="dns-tcp")
        self.fetching += 1
        flight.lane.in_flight += 1
        self.fetchers.submit(self._fetch_one, flight)

    def _fetch_one(self, flight: _Flight) -> None:
        server = flight.port.server.address
        try:
            answer = ask_tcp(server.host, server.port, flight.wire, self.pace.timeout_seconds)
        except OSError:  # refused, reset, timed out, closed: no whole answer to be had
            answer = None
        self.fetched.append((flight, answer))
