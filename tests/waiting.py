"""How tests wait: for a condition, with a limit that only a broken program reaches, never for a time.

A busy machine makes everything slower by any factor; so no test asserts how much was done in a time. Where a
real time-out is what is tested, only its lower end is (it may come late, never early).
"""

import socket
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 300.0  # the one limit; below pytest's own, so that the failure says what was waited for


def eventually(question: Callable[[], T], seconds: float = PATIENCE_SECONDS, every: float = 0.05) -> T:
    """The first true answer of `question`; fails with its last one when the time is over."""
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s; last answer: {answer!r}")
        time.sleep(every)


def ended(thread: threading.Thread) -> bool:
    """Whether a thread that was asked to end does."""
    thread.join(PATIENCE_SECONDS)
    return not thread.is_alive()


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of loopback that nobody has just now."""
    with socket.socket(socket.AF_INET, kind) as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])
