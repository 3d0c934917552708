import os
import pty
import sys
from datetime import UTC, datetime, timedelta

from collectors.observation import Batch, Subject, Trace
from monitor.intake.consequences import open_store


def test_an_escape_sequence_of_a_stranger_does_not_reach_the_terminal(tmp_path):
    database = tmp_path / "vigie.sqlite"
    config = tmp_path / "vigie.yaml"
    config.write_text(f"engine: {{url: 'sqlite:///{database}'}}\n")
    now = datetime.now(UTC)
    store = open_store(f"sqlite:///{database}")
    store.migrate()
    trace = Trace("bounce", now - timedelta(minutes=1), Subject("acme"), text="\x1b]0;PWNED\x07\x1b[2Jgone")
    store.intake([Batch("mta", "k", now, (), (trace,))], now)
    store.close()

    command = [sys.executable, "-m", "monitor", "trace", "--customer", "acme", "--config", str(config)]
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, command)
    shown = b""
    while piece := _piece(terminal):
        shown += piece
    os.waitpid(child, 0)
    assert b"gone" in shown
    assert b"\x1b]0;" not in shown
    assert b"\x1b[2J" not in shown


def _piece(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""
