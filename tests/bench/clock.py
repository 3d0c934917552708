"""Time by the clock, and time the processors worked for it: the one that stays comparable beside other work."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")


class Spent(NamedTuple):
    """Seconds by the clock; seconds of processor, this process's and its database server's."""

    wall: float
    cpu: float


class Clock:
    """`server` is the pid of the postmaster, None for a database that is part of this process (Linux only)."""

    def __init__(self, server: int | None = None) -> None:
        self._server = server

    def spent(self, act: Callable[[], Any]) -> Spent:
        wall, cpu = time.perf_counter(), self._cpu()
        act()
        return Spent(time.perf_counter() - wall, self._cpu() - cpu)

    def _cpu(self) -> float:
        own = time.process_time()
        if self._server is None:
            return own
        children = Path(f"/proc/{self._server}/task/{self._server}/children").read_text().split()
        return own + sum(map(_running, [str(self._server), *children])) + _gone(self._server)


def _running(pid: str) -> float:
    """Seconds a process has run so far; 0 for one that ended just now: it is in `_gone` of its parent."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def _gone(pid: int) -> float:
    """Seconds of the children that ended (proc(5): cutime and cstime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / _TICKS
