"""The DNS client: asks many plain questions over a few shared UDP sockets, in the thread that calls it.

`ask` is a bare non-blocking socket loop: no event loop, no message objects, one dictionary look-up per answer.
An answer counts only if it came from the server asked (connected sockets: the kernel checks address and port),
to the socket asked from, with the random id and the very question asked; anything else is dropped unread and
the question waits for its deadline on the monotonic clock. What comes late, twice or forged is ignored.

Nothing that fails holds up the rest:

* A question that gets no believable answer is asked again from another socket with another id, at the next server
  where there are several; more often where its list answers others meanwhile, for then it is the line that loses.
* It gives its place in the resolver's window back long before its deadline; a resolver that answers nothing is
  preferred to no other; one that leaves out what comes too fast is slowed down (dns_pacing).
* A truncated answer is fetched over TCP, each with a deadline of its own and a few at a time per lane; where that
  fails the next server is asked.
* A lane that its caller closes is not asked any more: what waits in it is answered at once.

The caller may take its time between two chunks: what arrived meanwhile waits in the sockets and is read before
any deadline is looked at. Written after RFC 1035, 5452 (forged answers), 7766 (TCP).
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Self

from collectors.clients.dns_lane import NOTHING, Lane, Pace, Question, Reply
from collectors.clients.dns_pacing import Pacer
from collectors.clients.dns_sockets import Flight, Peer, Port, Server
from collectors.clients.dns_tcp import Fetch
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

__all__ = ["Lane", "Pace", "Pacer", "Question", "Reply", "Server", "ask"]

_LONGEST_DATAGRAM = 4096
_CHUNK = 64  # a window: while the caller works on one, the servers work on the next
_LINGER_SECONDS = 0.05  # the longest an answer waits for its chunk to fill
_LONGEST_SLEEP_SECONDS = 0.25  # how late a stop may be noticed
# a few sockets, waited for rarely: poll asks the kernel for nothing while answers pour in, epoll does at each
_Selector = getattr(selectors, "PollSelector", selectors.DefaultSelector)
_ERRORS = frozenset(range(16)) - {NOERROR, NXDOMAIN}
_FINAL_ERRORS = frozenset((REFUSED, FORMERR))  # asking the same server again brings nothing else
_CROWDED_SECONDS = 0.02
_BURST = 8  # questions taken from one lane before the next has its turn
_MORE_ATTEMPTS = 3  # where the list answers other questions: a fifth lost each way leaves 1 in 150 unanswered
_SILENT = 16  # so many unanswered in a row are no accident of the line
_FETCHES = 64  # TCP connections at a time, for all lanes
_FETCHES_OF_LANE = 4


def ask(
    lanes: Sequence[Lane], pace: Pace | None = None, stopping: Callable[[], bool] = lambda: False
) -> Iterator[list[Reply]]:
    """Ask what is in the lanes; yield replies in chunks as they come, exactly one per question.

    A list of lanes may get more of them while answers are being read. When `stopping` turns true, what is in
    flight is given up and the iterator ends.
    """
    with _Loop(lanes, pace or Pace()) as loop:
        yield from loop.run(stopping)


class _Loop:
    def __init__(self, lanes: Sequence[Lane], pace: Pace) -> None:
        self.lanes = lanes
        self.pace = pace
        self.peers: dict[Server, Peer] = {}
        self.ports: list[Port] = []
        self.selector = _Selector()
        self.deadlines: deque[tuple[float, bytes, Flight]] = deque()
        self.replies: list[Reply] = []
        self.fetches: dict[Fetch, Flight] = {}
        self.crowded = False  # a window is full: whose answers are overdue must make room
        self.turn = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.selector.close()
        for lane in self.lanes:
            lane.route = []
        for fetch in self.fetches:
            fetch.close()
        for peer in self.peers.values():
            peer.close()

    def run(self, stopping: Callable[[], bool]) -> Iterator[list[Reply]]:
        yielded_at = time.monotonic()
        while not stopping():
            read = sum(self._drain(port) for port in self.ports)
            now = time.monotonic()
            if self.fetches:
                read += self._step_fetches(now)
            self._expire(now)
            wake_at = self._fill(now)
            idle = not (self.deadlines or self.fetches or wake_at) and not any(lane.waiting for lane in self.lanes)
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
            until = min(until, self.deadlines[0][0])
        if self.crowded:
            until = min(until, now + _CROWDED_SECONDS)
        if wake_at:
            until = min(until, wake_at)
        self.selector.select(max(0.0, until - now))

    # --- asking

    def _fill(self, now: float) -> float:
        """Send what lanes and windows allow; the time when something paced may go on, 0 where nothing waits."""
        wake_at = 0.0
        if self.crowded:
            self.crowded = False
            for peer in self.peers.values():
                peer.forget_overdue(now - self.pace.overdue_seconds)
        lanes, count = self.lanes, len(self.lanes)
        for offset in range(count):
            lane = lanes[(self.turn + offset) % count]
            if lane.closed:
                self._give_up(lane, lane.closed)
            elif self.crowded and len(self.peers) == 1:
                continue  # the only window is full: nobody else can send either
            elif lane.waiting and (ready_at := self._fill_from(lane, now)):
                wake_at = min(wake_at or ready_at, ready_at)
        self.turn += 1
        return wake_at

    def _fill_from(self, lane: Lane, now: float) -> float:
        """Send a burst of one lane; when it may go on, where it is a pace that stops it."""
        pacer, limit, added, again = lane.pacer, self.pace.window, lane.added, lane.again
        if lane.truncated and (ready_at := self._fetch(lane, now)):
            return ready_at
        for _ in range(_BURST):
            if lane.in_flight >= lane.window:
                break
            if pacer.next_at > now:
                return pacer.next_at if lane.waiting else 0.0
            route = lane.route
            peer = route[0] if len(route) == 1 else self._peer(lane, again[0].attempt if again else 0, now)
            if peer.in_flight >= limit:
                self.crowded = True
                break
            throttle = peer.throttle
            if throttle.next_at > now:
                return throttle.next_at
            item = again.popleft() if again else added.popleft() if added else next(lane.questions, None)
            if item is None:
                lane.questions = NOTHING
                break
            if throttle.rate:
                throttle.sent(now)
            if pacer.interval_seconds:
                pacer.sent(now)
            flight = item if isinstance(item, Flight) else Flight(item[0], item[1], lane, now)
            self._send(flight, peer, now)
        return 0.0

    def _peer(self, lane: Lane, attempt: int, now: float) -> Peer:
        """The server for an attempt: in turn, those that answer nothing left out while others do."""
        if not lane.route:
            lane.route = [self.peers.get(server) or self._new_peer(server) for server in lane.servers]
        if len(lane.route) == 1:
            return lane.route[0]
        able = [peer for peer in lane.route if peer.down_until <= now] or lane.route
        return able[attempt % len(able)]

    def _new_peer(self, server: Server) -> Peer:
        peer = self.peers[server] = Peer(server, self.pace.sockets)
        for port in peer.ports:
            self.ports.append(port)
            self.selector.register(port.socket, selectors.EVENT_READ)
        return peer

    def _send(self, flight: Flight, peer: Peer, now: float) -> None:
        if not peer.ports:
            peer.missed(now, unreachable=True)
            self._again_or(flight, None, Reason.NETWORK)
            return
        peer.turn = turn = (peer.turn + 1) % len(peer.ports)
        flight.port = port = peer.ports[turn]
        idents = port.idents
        ident = idents.pop() if idents else port.new_ident()
        if ident in port.pending:
            ident = port.new_ident()
        flight.ident = ident
        flight.sent_at = now
        flight.open = flight.counted = True
        port.pending[ident] = flight
        self.deadlines.append((now + self.pace.timeout_seconds, ident, flight))
        flight.lane.in_flight += 1
        peer.in_flight += 1
        try:
            port.socket.send(ident + QUERY_HEADER + flight.wire)
        except BlockingIOError:
            pass  # the send buffer is full: as good as lost on the way, the deadline will see to it
        except OSError:
            self._broken(port, now)

    # --- hearing

    def _drain(self, port: Port) -> int:
        """Read what a socket holds, a window's worth at most, so that asking goes on under a flood."""
        receive, pending, peer = port.socket.recv, port.pending, port.peer
        for heard in range(self.pace.window):
            try:
                wire = receive(_LONGEST_DATAGRAM)
            except BlockingIOError:
                return heard
            except OSError:
                self._broken(port, time.monotonic())
                return heard
            flight = pending.get(wire[:2])
            if flight is None or not is_ours(wire, flight.wire):
                continue
            del pending[flight.ident]
            flight.open = False
            lane = flight.lane
            lane.in_flight -= 1
            lane.heard = True
            lane.lost_in_a_row = peer.lost_in_a_row = 0
            peer.throttle.answered += 1
            if flight.counted:
                peer.in_flight -= 1
            answer = parse_plain(wire, 12 + len(flight.wire)) or parse_full(wire, flight.wire)
            if answer.truncated:
                lane.truncated.append(flight)
            elif answer.malformed or answer.rcode in _ERRORS:
                self._again_or(flight, answer, None)
            else:
                elapsed = time.monotonic() - flight.started
                self.replies.append(Reply(flight.token, answer, None, elapsed))
        return self.pace.window

    def _again_or(self, flight: Flight, answer: Answer | None, reason: Reason | None) -> None:
        """Another try for a question, or this as its reply."""
        lane = flight.lane
        attempts = max(self.pace.attempts, len(lane.servers))
        if self.pace.attempts == 1:
            attempts = 1
        elif answer and answer.rcode in _FINAL_ERRORS:
            attempts = len(lane.servers)
        elif reason is Reason.TIMEOUT and lane.heard and (lane.lost_in_a_row < _SILENT or flight.port.peer.throttle.rate):
            attempts += _MORE_ATTEMPTS
        if flight.attempt + 1 < attempts and not lane.closed:
            flight.attempt += 1
            lane.again.append(flight)
        else:
            self._done(flight, answer, reason)

    def _done(self, flight: Flight, answer: Answer | None, reason: Reason | None) -> None:
        self.replies.append(Reply(flight.token, answer, reason, time.monotonic() - flight.started))

    def _give_up(self, lane: Lane, reason: Reason) -> None:
        while lane.added:
            self.replies.append(Reply(lane.added.popleft().token, None, reason, 0.0))
        for flights in (lane.again, lane.truncated):
            while flights:
                self._done(flights.popleft(), None, reason)

    # --- silence

    def _expire(self, now: float) -> None:
        """End the wait of those past their deadline; conclude how fast each server can be asked."""
        deadlines = self.deadlines
        while deadlines:
            deadline, ident, flight = deadlines[0]
            if flight.open and flight.ident == ident:
                if deadline > now:
                    break
                self._lost(flight, Reason.TIMEOUT, now)
            deadlines.popleft()
        for peer in self.peers.values():
            peer.throttle.judge(now, self.pace.timeout_seconds)

    def _lost(self, flight: Flight, reason: Reason, now: float) -> None:
        lane, peer = flight.lane, flight.port.peer
        del flight.port.pending[flight.ident]
        flight.open = False
        lane.in_flight -= 1
        if flight.counted:
            peer.in_flight -= 1
            flight.counted = False
        lane.lost_in_a_row += 1
        if lane.heard and lane.lost_in_a_row <= _SILENT:  # beyond that the list is silent: no word about the resolver
            peer.throttle.missed(flight.sent_at)
        peer.missed(now, unreachable=reason is Reason.NETWORK)
        self._again_or(flight, None, reason)

    def _broken(self, port: Port, now: float) -> None:
        """The kernel reports the server unreachable (ICMP): nothing in flight on this socket will be answered."""
        for flight in list(port.pending.values()):
            self._lost(flight, Reason.NETWORK, now)

    # --- truncated answers

    def _fetch(self, lane: Lane, now: float) -> float:
        """Ask over TCP what UDP truncates, a few at a time; when more may be asked, where it is the pace that stops it."""
        while lane.truncated and lane.fetching < _FETCHES_OF_LANE and len(self.fetches) < _FETCHES:
            if lane.pacer.next_at > now:
                return lane.pacer.next_at
            flight = lane.truncated.popleft()
            lane.pacer.sent(now)
            server = flight.port.peer.address
            try:
                fetch = Fetch(server.host, server.port, flight.wire, now + self.pace.timeout_seconds)
            except OSError:
                self._elsewhere_or_never(flight)
                continue
            self.fetches[fetch] = flight
            self.selector.register(fetch.socket, fetch.waits_for)
            lane.fetching += 1
        return 0.0

    def _step_fetches(self, now: float) -> int:
        done = 0
        for fetch, flight in list(self.fetches.items()):
            try:
                answer = fetch.step(now)
            except OSError:  # refused, reset, timed out, closed: no whole answer to be had
                self._end(fetch)
                self._elsewhere_or_never(flight)
                done += 1
                continue
            if answer is None:
                self.selector.modify(fetch.socket, fetch.waits_for)
            else:
                self._end(fetch)
                self._done(flight, answer, None)
                done += 1
        return done

    def _end(self, fetch: Fetch) -> None:
        self.selector.unregister(fetch.socket)
        fetch.close()
        self.fetches.pop(fetch).lane.fetching -= 1

    def _elsewhere_or_never(self, flight: Flight) -> None:
        """No TCP here: the next server may have it, this one would only truncate again."""
        if flight.attempt + 1 < len(flight.lane.servers) and not flight.lane.closed:
            flight.attempt += 1
            flight.lane.again.append(flight)
        else:
            self._done(flight, None, Reason.TIMEOUT)
