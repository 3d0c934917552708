"""A TCP proxy of loopback that cuts, stalls and refuses: the network between a sender and the service."""

import contextlib
import selectors
import socket
import threading
from typing import Self

from tests.waiting import ended


class TcpProxy:
    """Passes on to `port` of 127.0.0.1. `cut()` ends every connection, `stall` keeps them open and silent, `refuse` takes no new ones."""

    def __init__(self, port: int) -> None:
        self.target, self.stall, self.refuse = port, False, False
        self.accepted = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._lock, self._stop = threading.Lock(), False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        with self._lock:
            for connection in list(self._pairs):
                self._close(connection)

    def close(self) -> None:
        self._stop = True
        assert ended(self._thread)
        self.cut()
        self._listening.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        while not self._stop:
            with self._lock:
                watched = [self._listening, *([] if self.stall else self._pairs)]
            with selectors.DefaultSelector() as ready:
                for each in watched:
                    with contextlib.suppress(ValueError, KeyError):
                        ready.register(each, selectors.EVENT_READ)
                for chosen, _ in ready.select(0.02):
                    self._pass_on(chosen.fileobj)

    def _pass_on(self, connection) -> None:
        if connection is self._listening:
            self._accept()
            return
        with self._lock:
            other = self._pairs.get(connection)
            try:
                piece = connection.recv(65536) if other is not None else b""
                if piece:
                    other.sendall(piece)
                    return
            except OSError:
                pass
            self._close(connection)

    def _accept(self) -> None:
        connection, _ = self._listening.accept()
        if self.refuse:
            connection.close()
            return
        try:
            other = socket.create_connection(("127.0.0.1", self.target), timeout=10)
        except OSError:
            connection.close()
            return
        self.accepted += 1
        with self._lock:
            self._pairs[connection], self._pairs[other] = other, connection

    def _close(self, connection) -> None:
        other = self._pairs.pop(connection, None)
        for each in (connection, other):
            if each is not None:
                self._pairs.pop(each, None)
                each.close()
