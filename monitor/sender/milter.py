"""`python -m vigie_sender.milter`: a mail filter (Sendmail's milter protocol, version 6) for Postfix and Sendmail.

    python -m vigie_sender.milter --url https://vigie.example.com --key-file /etc/vigie.key --listen 127.0.0.1:10041
    smtpd_milters = inet:127.0.0.1:10041        # main.cf of the Postfix that sending programs hand their mail to

At each recipient it asks the gate beside it and answers 451 while that mail waits; whoever hands it in tries again. Whose mail it is:
the user who logged in (`acme` or `acme/news`: customer and stream), else `--customer`; the domain is that of the envelope sender.
Mail of nobody known passes, and so does what a restriction slows within its rate.
"""

from __future__ import annotations

import argparse
import contextlib
import socketserver
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from monitor.sender.blocking import Gate
from monitor.sender.decision import Held

_VERSION, _MOST_BYTES = 6, 1024 * 1024
# what is not sent to us: connect, helo, body, headers, end of headers, unknown commands, data
_SKIPPED = 0x01 | 0x02 | 0x10 | 0x20 | 0x40 | 0x100 | 0x200
_OPTIONS, _MACROS, _MAIL, _RECIPIENT, _ABORT = b"O", b"D", b"M", b"R", b"A"
_ENDS = frozenset((b"Q", b"K"))
_CONTINUE, _REPLY = b"c", b"y"


class Milter(socketserver.ThreadingTCPServer):
    """Listens; each connection of the MTA has a thread."""

    daemon_threads, allow_reuse_address = True, True

    def __init__(self, listen: tuple[str, int], gate: Gate, customer: str | None = None) -> None:
        self.gate, self.customer = gate, customer
        super().__init__(listen, _Connection)


class _Connection(socketserver.StreamRequestHandler):
    server: Milter
    user = domain = ""

    def handle(self) -> None:
        for command, data in self._packets():
            if command in _ENDS:
                return
            if command == _OPTIONS:
                version, actions, protocol = struct.unpack(">III", data[:12])
                self._answer(_OPTIONS, struct.pack(">III", min(version, _VERSION), actions & 0, protocol & _SKIPPED))
            elif command == _MACROS:  # is not answered
                if data[:1] == _MAIL:
                    words = _words(data[1:])
                    self.user = dict(zip(words[::2], words[1::2], strict=False)).get("{auth_authen}", "")
            elif command == _MAIL:
                self.domain = _address(data).rpartition("@")[2]
                self._answer(_CONTINUE)
            elif command == _RECIPIENT:
                self._answer(*self._recipient(_address(data)))
            elif command != _ABORT:  # is not answered either
                self._answer(_CONTINUE)

    def _recipient(self, recipient: str) -> tuple[bytes, bytes]:
        customer, _, stream = (self.user or self.server.customer or "").partition("/")
        if customer and "@" in recipient:
            named: dict[str, Any] = {"customer": customer, "stream": stream or None, "domain": self.domain or None}
            try:
                self.server.gate.before_send(recipient=recipient, **named)
            except Held as held:
                why = next((reason.text for reason in held.decision.reasons), "held")
                text = "".join(letter if " " <= letter <= "~" else "?" for letter in why)[:400].replace("%", "%%")
                return _REPLY, f"451 4.7.1 {text}".encode() + b"\0"
            except ValueError:  # names that are none: nothing is known against it
                pass
        return _CONTINUE, b""

    def _packets(self) -> Iterator[tuple[bytes, bytes]]:
        while len(head := self.rfile.read(4)) == 4:
            (length,) = struct.unpack(">I", head)
            packet = self.rfile.read(length) if 0 < length <= _MOST_BYTES else b""
            if len(packet) != length or not packet:
                return
            yield packet[:1], packet[1:]

    def _answer(self, command: bytes, data: bytes = b"") -> None:
        self.wfile.write(struct.pack(">I", len(data) + 1) + command + data)


def _words(data: bytes) -> list[str]:
    return [word.decode("utf-8", "replace") for word in data.split(b"\0")]


def _address(data: bytes) -> str:
    return _words(data)[0].strip().removeprefix("<").removesuffix(">")


def main(words: list[str]) -> int:
    """The program. Exit code 2 for wrong arguments, 3 where the address cannot be listened on."""
    parser = argparse.ArgumentParser(prog="vigie_sender.milter", description="Asks Vigie's gate at each recipient.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--key-file", required=True, type=Path)
    parser.add_argument("--listen", default="127.0.0.1:10041")
    parser.add_argument("--customer", help="whose mail it is where nobody logged in")
    parser.add_argument("--cache", help="where what is known is kept for the next start")
    given = parser.parse_args(words)
    host, _, port = given.listen.rpartition(":")
    more: dict[str, Any] = {"cache": given.cache}
    try:
        gate = Gate(given.url, given.key_file.read_text("utf-8").strip(), **more)
        number = int(port)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    try:
        with gate, Milter((host.strip("[]"), number), gate, given.customer) as milter, contextlib.suppress(KeyboardInterrupt):
            milter.serve_forever()
    except OSError as error:
        print(f"cannot listen on {given.listen}: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
