"""Processes of ours that are started to be killed: each is a fork of one that has imported everything already.

To import the program takes two seconds of a core, more than most of these processes live. What they do then is what a process of
its own does: nothing but its code is shared, and `kill -9` leaves it no chance either.
"""

import io
import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any, BinaryIO

from monitor.cli import main

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["monitor.app", "monitor.commands.service", "tests.servers.forked"])


class Forked:
    """`target(*arguments)` in a process whose output and errors go to a file, or come as `lines`."""

    def __init__(self, target: Callable[..., object], *arguments: Any, output: Path | None = None) -> None:
        reader, writer = _CONTEXT.Pipe(duplex=False)
        with reader, writer:
            given = (target, arguments, str(output) if output else writer, dict(os.environ))
            self._process = _CONTEXT.Process(target=_run, args=given, daemon=True)
            self._process.start()
            self.lines: BinaryIO = io.BytesIO() if output else os.fdopen(os.dup(reader.fileno()), "rb")

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        """The exit code of one that has ended; negative: the signal it ended by."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.pid is not None and self.poll() is None:
            os.kill(self._process.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def gone(self) -> int:
        """Wait for its end; what it still had to say is not read."""
        self.lines.close()
        return self.wait()

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired as Popen does."""
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise TimeoutExpired("forked", timeout or 0.0)
        return code


def _run(target: Callable[..., object], arguments: tuple[Any, ...], output: str | Connection, environment: dict[str, str]) -> None:
    file = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT) if isinstance(output, str) else output.fileno()
    for stream in (1, 2):
        os.dup2(file, stream)
    os.environ.clear()
    os.environ.update(environment)
    warnings.simplefilter("default")
    target(*arguments)


def vigie(*arguments: str) -> None:
    """The command, as in a process of its own."""
    main(list(arguments))
