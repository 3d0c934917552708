"""The real service in a process of its own, as its user starts it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.servers.forked import Forked, vigie
from tests.waiting import PATIENCE_SECONDS


class Service:
    """`vigie run --config F`; `start()` may be followed by `kill()` and `start()` again, which is quick if `forked`."""

    def __init__(self, config: Path, port: int, *, forked: bool = False) -> None:
        self.config, self.url = config, f"http://127.0.0.1:{port}"
        self.log = config.with_name("service.log")
        self._forked = forked
        self._process: subprocess.Popen[bytes] | Forked | None = None

    def start(self, *, wait=True):
        command = ("run", "--config", str(self.config))
        if self._forked:
            self._process = Forked(vigie, *command, output=self.log)
        else:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "monitor", *command],
                    stdout=log, stderr=log, env={**os.environ, "PYTHONWARNINGS": "default"},
                )
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self):
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise AssertionError(f"the service ended with {self._process.returncode}:\n{self.log.read_text()}")
            try:
                if httpx.get(f"{self.url}/readyz", timeout=PATIENCE_SECONDS).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"the service is not ready after {PATIENCE_SECONDS} s:\n{self.log.read_text()}")

    def kill(self):
        """kill -9: nothing of it gets a chance to tidy up."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self):
        """As an operator stops it; returns the exit code."""
        self._process.terminate()
        try:
            return self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def command(self, *arguments):
        """Another `vigie` command on the same configuration: its standard output."""
        done = subprocess.run(
            [sys.executable, "-m", "monitor", *arguments, "--config", str(self.config)],
            capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process is not None and self._process.poll() is None:
            self.kill()
