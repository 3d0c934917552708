"""Debian's real Postfix, unpacked or installed, as a receiving instance of its own in a folder: nothing of the machine's is touched.

`master` wants root and three users that are not its own; those of Debian's base system that nobody uses serve here.
"""

import os
import shutil
import socket
import subprocess
from pathlib import Path

from tests.waiting import eventually, free_port

OWNER, GROUP, OTHERS = "uucp", "irc", "nobody"
QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace")


def root() -> Path | None:
    """Where its programs lie: VIGIE_POSTFIX (an unpacked package), else the machine's own; None: it is not here, or we may not run it."""
    for folder in (os.environ.get("VIGIE_POSTFIX"), "/opt/vigie-postfix", "/"):
        if folder and Path(folder, "usr/lib/postfix/sbin/master").exists():
            return Path(folder) if os.geteuid() == 0 else None
    return None


class Postfix:
    """Takes mail on `port`; each of `services` is a port of its own: its options for `smtpd` → where it listens."""

    def __init__(self, folder: Path, restrictions: str, services=("",)):
        self._folder, self._programs = folder, root()
        self._services, self._restrictions, self.ports = services, restrictions, {}
        folder.mkdir(mode=0o755)
        for parent in folder.parents:  # its users have to get there
            if parent.owner() == "root" and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)

    def _write(self):
        self.ports = {options: free_port() for options in self._services}
        lib = self._programs / "usr/lib/postfix"
        settings = {
            "compatibility_level": "3.6", "queue_directory": self._folder / "queue", "data_directory": self._folder / "data",
            "daemon_directory": lib / "sbin", "command_directory": self._programs / "usr/sbin", "shlib_directory": lib,
            "meta_directory": self._folder / "conf", "mail_owner": OWNER, "setgid_group": GROUP, "default_privs": OTHERS,
            "myhostname": "mx.test.example", "mydestination": "", "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8", "alias_maps": "", "alias_database": "", "local_recipient_maps": "",
            "default_transport": "discard:", "relay_transport": "discard:", "smtpd_relay_restrictions": "permit_mynetworks, reject",
            "smtpd_recipient_restrictions": self._restrictions, "smtpd_error_sleep_time": "0",
            "import_environment": f"MAIL_CONFIG LD_LIBRARY_PATH={lib}",
        }
        for name in ("conf", "data", "queue", *(f"queue/{each}" for each in (*QUEUES, "maildrop", "public", "pid"))):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        for name in ("data", *(f"queue/{each}" for each in QUEUES)):
            shutil.chown(self._folder / name, OWNER)
        for name in ("queue/maildrop", "queue/public"):
            shutil.chown(self._folder / name, OWNER, GROUP)
        (self._folder / "conf/main.cf").write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
        ports = [f"127.0.0.1:{port} inet n - n - - smtpd {options}\n" for options, port in self.ports.items()]
        inner = [
            "cleanup unix n - n - 0 cleanup", "rewrite unix - - n - - trivial-rewrite", "qmgr unix n - n 300 1 qmgr",
            "bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce", "error unix - - n - - error",
            "discard unix - - n - - discard", "proxymap unix - - n - - proxymap", "anvil unix - - n - 1 anvil",
        ]  # fmt: skip
        (self._folder / "conf/master.cf").write_text("".join(ports) + "\n".join(inner) + "\n")

    def __enter__(self):
        environment = {**os.environ, "MAIL_CONFIG": str(self._folder / "conf"), "LD_LIBRARY_PATH": str(self._programs / "usr/lib/postfix")}
        master = self._programs / "usr/lib/postfix/sbin/master"
        for _ in range(5):  # somebody else may take a free port first
            self._write()
            self._process = subprocess.Popen([master, "-c", self._folder / "conf", "-d"], env=environment)
            eventually(lambda: self._process.poll() is not None or all(map(_answers, self.ports.values())))
            if self._process.poll() is None:
                return self
        raise AssertionError("Postfix ended")

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(30)


def _answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            return connection.recv(100).startswith(b"220")
    except OSError:
        return False
