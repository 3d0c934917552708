"""What a gate is made of, checked: everything wrong is a ValueError, and nothing is connected to."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from monitor.gate import StreamKind
from monitor.sender.clock import Clock
from monitor.sender.disk_copy import DiskCopy
from monitor.sender.filters import Filters
from monitor.sender.grants import Grants
from monitor.sender.http import Address
from monitor.sender.local_gate import LocalGate

AWAY: Mapping[str, str] = {StreamKind.TRANSACTIONAL.value: "send", StreamKind.MARKETING.value: "hold"}
LONGEST_SENDER = 64


class Parts(NamedTuple):
    address: Address
    gate: LocalGate
    copy: DiskCopy | None


def parts_of(
    url: str, key: str, wake: Callable[[], None], *, cache: str | os.PathLike[str] | None, keep_seconds: float, away: Mapping[str, str] | None,
    sender: str | None, timeout_seconds: float,
) -> Parts:
    """The parts of a gate, with what the copy on the disk knows. Raises ValueError."""
    if not isinstance(url, str) or not isinstance(key, str) or not key.isascii() or not key.isprintable() or not key.strip():
        raise ValueError("url and key are texts; a key is one word, as `vigie keys create` prints it")
    _number("keep_seconds", keep_seconds, 0)
    _number("timeout_seconds", timeout_seconds, 0.001)
    if not isinstance(away, Mapping | None):
        raise ValueError(f"away: a kind of stream and 'send' or 'hold' for each, not {away!r}")  # noqa: TRY004 - as all that is wrong here
    chosen = {**AWAY, **(away or {})}
    if not chosen.keys() <= AWAY.keys() or any(word not in ("send", "hold") for word in chosen.values()):
        raise ValueError(f"away: {', '.join(AWAY)} are sent ('send') or held ('hold'), not {dict(away or {})!r}")
    name = f"{socket.gethostname()[:40]}:{os.getpid()}" if sender is None else sender
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_SENDER:
        raise ValueError(f"sender: a text of 1 to {LONGEST_SENDER} characters is wanted")
    address = Address(url, key, timeout_seconds)
    clock = Clock()
    copy = None if cache is None else DiskCopy(Path(_path(cache)), key)
    kept = copy.read(clock.now()) if copy is not None else None
    if kept is not None:
        clock = Clock(not_before=kept.written_at)
    gate = LocalGate(keep_seconds, chosen, clock, Filters(wake), Grants(name, clock, wake))
    if kept is not None:
        gate.take_copy(kept.known, (clock.now() - kept.heard_at).total_seconds())
    return Parts(address, gate, copy)


def _number(name: str, value: float, least: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= least:
        raise ValueError(f"{name}: a number of seconds is wanted, not {value!r}")


def _path(cache: str | os.PathLike[str]) -> str:
    if not isinstance(cache, str | os.PathLike) or not os.fspath(cache):
        raise ValueError(f"cache: the path of a file is wanted, not {cache!r}")
    return str(os.fspath(cache))
