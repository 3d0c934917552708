"""What is asked together, and how: questions in lanes, replies, patience."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from collectors.clients.dns_pacing import Pacer
from collectors.clients.dns_sockets import Flight, Peer, Server
from collectors.clients.dns_wire import Answer
from collectors.contract import Reason

NOTHING: Iterator[Question] = iter(())


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
    attempts: int = 2  # of a question whose list is silent
    window: int = 128  # under way per server; 200 overrun a server's receive buffer
    sockets: int = 4  # per server, each with its own random port
    overdue_seconds: float = 0.25  # when an unanswered question no longer takes a place in the window


class Lane:
    """Questions that share servers and a pacer: at most `window` in flight.

    `add` and `close` may be called at any time, also while answers are being read; `servers` and `questions` may
    be set as long as nothing was asked.
    """

    __slots__ = (
        "added", "again", "closed", "fetching", "heard", "in_flight", "lost_in_a_row", "pacer", "questions", "route",
        "servers", "truncated", "window",
    )  # fmt: skip

    def __init__(
        self, servers: Sequence[Server], questions: Iterable[Question] | None = None, *, window: int = 32, pacer: Pacer | None = None
    ) -> None:
        self.servers = tuple(servers)
        self.questions: Iterator[Question] = NOTHING if questions is None else iter(questions)
        self.route: list[Peer] = []  # the servers, once they are known to the loop
        self.window = window
        self.pacer = pacer or Pacer()
        self.added: deque[Question] = deque()
        self.again: deque[Flight] = deque()  # to be asked once more
        self.truncated: deque[Flight] = deque()  # to be asked over TCP
        self.fetching = 0
        self.in_flight = 0
        self.heard = False  # whether anything was ever answered
        self.lost_in_a_row = 0
        self.closed: Reason | None = None

    def add(self, question: Question) -> None:
        self.added.append(question)

    def close(self, reason: Reason) -> None:
        """Ask nothing more; what waits, and what is in flight and stays unanswered, gets this reason."""
        self.closed = reason
        self.questions = NOTHING

    @property
    def waiting(self) -> bool:
        """Whether it holds anything to be sent."""
        return self.questions is not NOTHING or bool(self.added or self.again or self.truncated)
