"""A real rbldnsd on a free loopback port; zone files are rewritten while it runs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.waiting import PATIENCE_SECONDS, free_port

PROGRAM = shutil.which("rbldnsd") or shutil.which("rbldnsd", path="/usr/sbin:/usr/local/sbin")
SOA = "$SOA 300 ns.invalid hostmaster.invalid 0 600 300 86400 {negative}\n"


class Rbldnsd:
    """`Rbldnsd({"bl.example.net": ("ip4set", ":127.0.0.2:listed\\n192.0.2.7\\n")})`; answers when built."""

    def __init__(
        self, zones: Mapping[str, tuple[str, str]], *, options: tuple[str, ...] = (), negative_ttl_seconds: int = 60
    ) -> None:
        assert PROGRAM, "rbldnsd is not installed"
        self.soa = SOA.format(negative=negative_ttl_seconds)
        self.folder = Path(tempfile.mkdtemp(prefix="rbldnsd"))
        self.folder.chmod(0o755)
        for zone, (_, text) in zones.items():
            self.write(zone, text)
        self.port = free_port(socket.SOCK_DGRAM)
        self.first_zone = next(iter(zones))
        user = ("-u", "nobody") if os.geteuid() == 0 else ()
        self.process = subprocess.Popen(
            [PROGRAM, "-n", "-c", "1", *user, *options, "-w", str(self.folder), "-b", f"127.0.0.1/{self.port}",
             *(f"{zone}:{kind}:{zone}" for zone, (kind, _) in zones.items())],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        self._wait()

    def write(self, zone: str, text: str) -> None:
        """Replace a zone's data; rbldnsd looks every second and sees it by size and time."""
        path = self.folder / zone
        fresh = self.folder / f".{zone}"
        fresh.write_text(self.soa + text)
        fresh.chmod(0o644)
        fresh.replace(path)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_SECONDS)
        shutil.rmtree(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self) -> None:
        labels = b"".join(bytes([len(label)]) + label.encode() for label in self.first_zone.split("."))
        question = b"\x12\x34\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\6\0\1"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.1)
            end = time.monotonic() + PATIENCE_SECONDS
            while time.monotonic() < end:
                probe.sendto(question, ("127.0.0.1", self.port))
                try:
                    probe.recv(512)
                    return
                except OSError:
                    assert self.process.poll() is None, "rbldnsd ended by itself"
                    time.sleep(0.05)
        raise TimeoutError("rbldnsd does not answer")
