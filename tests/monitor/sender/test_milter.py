"""The mail filter, spoken to as an MTA does."""

import socket
import struct
import threading

import pytest

from monitor.sender import Gate
from monitor.sender.milter import Milter, main
from tests.servers.gate_stream import KEY, GateServer, restriction, snapshot
from tests.waiting import PATIENCE_SECONDS, ended, eventually


class Mta:
    """One connection of an MTA to a milter."""

    def __init__(self, port: int) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
        self.peer = self._connection.getpeername()
        self.options = struct.unpack(">III", self.say(b"O", struct.pack(">III", 6, 0x1FF, 0x1FFFFF))[1])

    def send(self, command: bytes, data: bytes = b"") -> None:
        self._connection.sendall(struct.pack(">I", len(data) + 1) + command + data)

    def say(self, command: bytes, data: bytes = b"") -> tuple[bytes, bytes]:
        self.send(command, data)
        (length,) = struct.unpack(">I", self._exactly(4))
        packet = self._exactly(length)
        return packet[:1], packet[1:]

    def mail(self, user: str, sender: str, *recipients: str) -> list[tuple[bytes, bytes]]:
        self.send(b"D", b"M{auth_authen}\0" + user.encode() + b"\0i\0ABC\0")
        assert self.say(b"M", f"<{sender}>".encode() + b"\0SIZE=1\0")[0] == b"c"
        answers = [self.say(b"R", f"<{each}>".encode() + b"\0") for each in recipients]
        assert self.say(b"E")[0] == b"c"
        self.send(b"A")
        return answers

    def _exactly(self, count: int) -> bytes:
        taken = b""
        while len(taken) < count:
            piece = self._connection.recv(count - len(taken))
            assert piece, "the milter hung up"
            taken += piece
        return taken

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def mta():
    rows = [restriction("café", customer="bolt"), restriction("sus-2", customer="acme", stream="news", provider="gmail"),
            restriction("sus-3", domain="late.example")]
    with GateServer() as server:
        server.first = [("snapshot", "a", snapshot(1, rows))]
        with Gate(server.url, KEY) as gate, Milter(("127.0.0.1", 0), gate, "acme") as milter:
            eventually(lambda: gate.state == "fresh")
            thread = threading.Thread(target=milter.serve_forever, args=(0.05,))
            thread.start()
            client = Mta(milter.server_address[1])
            yield client
            client.close()
            milter.shutdown()
            assert ended(thread)


def test_it_answers_at_each_recipient_whether_that_mail_waits(mta):
    assert mta.options[0] == 6
    assert mta.options[1] == 0, "it changes nothing of the mail"
    held = (b"y", b"451 4.7.1 sus-2\0")
    assert mta.mail("acme/news", "n@acme.example", "ann@gmail.com", "ann@orange.fr") == [held, (b"c", b"")]
    assert mta.mail("acme/receipts", "n@acme.example", "ann@gmail.com") == [(b"c", b"")]
    assert mta.mail("bolt", "n@bolt.example", "ann@orange.fr") == [(b"y", b"451 4.7.1 caf?\0")]
    assert mta.mail("", "n@late.example", "ann@orange.fr") == [(b"y", b"451 4.7.1 sus-3\0")]
    assert mta.mail("", "", "ann@orange.fr", "postmaster") == [(b"c", b"")] * 2


def test_what_is_no_milter_protocol_ends_that_connection_only(mta):
    host = mta.peer
    for bad in (b"GET / HTTP/1.1\r\n\r\n", struct.pack(">I", 2**31) + b"x", struct.pack(">I", 0)):
        with socket.create_connection(host, timeout=PATIENCE_SECONDS) as stranger:
            stranger.sendall(bad)
            stranger.shutdown(socket.SHUT_WR)
            assert stranger.recv(100) == b""
    assert mta.mail("bolt", "n@bolt.example", "ann@orange.fr")[0][0] == b"y"


def test_wrong_arguments_are_said(tmp_path, capsys):
    (tmp_path / "key").write_text("x")
    for words in ([], ["--url", "nonsense", "--key-file", str(tmp_path / "key")], ["--url", "http://x", "--key-file", str(tmp_path / "none")],
                  ["--url", "http://127.0.0.1:9", "--key-file", str(tmp_path / "key"), "--listen", "x"]):
        with pytest.raises(SystemExit) as ended_with:
            main(words)
        assert ended_with.value.code == 2
        assert "error" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main(["--url", "http://127.0.0.1:9", "--key-file", str(tmp_path / "key"), "--listen", listen]) == 3
