"""A real IMAP server on loopback, in this process: the mailbox of the demo and of the tests.

pymap's in-memory backend (IDLE, MOVE, UIDPLUS) run in a thread with its own event loop on a free port.
No TLS, one user, everything forgotten on `close()`: it must never be reachable from outside. pymap reads a
mail as it arrives and refuses one with parts nested hundreds deep (RecursionError from `deliver`).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from argparse import Namespace
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, Self, TypeVar
from uuid import uuid4

from proxyprotocol.sock import SocketInfo
from pymap.backend.dict import DictBackend
from pymap.backend.dict.mailbox import MailboxData, MailboxSet
from pymap.concurrent import Subsystem
from pymap.imap import IMAPServer
from pymap.parsing.message import AppendMessage
from pysasl.hashing import Cleartext

T = TypeVar("T")

HOST = "127.0.0.1"
START_SECONDS = 10.0


class ImapServer:
    """`start()` gives the port; `deliver()` puts a mail into a folder, making the folder if it is missing."""

    def __init__(self, user: str, password: str, port: int = 0) -> None:
        self.user = user
        self.password = password
        self.port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._backend: DictBackend | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> int:
        """Listen; returns the port once it answers."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="demo-imap", daemon=True)
        self._thread.start()
        self.port = self._run(self._start())
        return self.port

    def deliver(self, raw: bytes, folder: str = "INBOX", received_at: datetime | None = None) -> int:
        """Append a mail as a delivery agent would; idling clients are notified. Returns its UID."""
        return self._run(self._deliver(raw, folder, received_at or datetime.now(UTC)))

    def messages(self, folder: str = "INBOX") -> list[tuple[int, frozenset[str]]]:
        """UID and flags of what lies in a folder; an unknown folder is empty."""
        return self._run(self._messages(folder))

    def renumber(self, folder: str = "INBOX") -> None:
        """Give the folder a new UIDVALIDITY, as a restored or rebuilt mail store does."""
        self._run(self._renumber(folder))

    def close(self) -> None:
        """Cut every connection, then end the thread."""
        if self._loop is None or self._thread is None:
            return
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_SECONDS)
        self._loop.close()
        self._loop = self._thread = None

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise RuntimeError("the IMAP server is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_SECONDS)

    async def _start(self) -> int:
        arguments = Namespace(  # what pymap's own command line would have filled in
            host=HOST, port=0, debug=False, cert=None, key=None, tls=False, proxy_protocol=None,
            passlib_cfg=None, demo_data=False, demo_user=self.user, demo_password=self.password)
        # Cleartext and asyncio: no slow hash for a password that protects nothing, no second pool of threads
        self._backend, config = await DictBackend.init(
            arguments, hash_context=Cleartext(), cpu_subsystem=Subsystem.for_asyncio(),
            invalid_user_sleep=0.0, reject_dnsbl=False)
        speak = IMAPServer(self._backend.login, config)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._connections.add(task)
            try:
                # a client that goes away in mid-sentence is ordinary
                with contextlib.suppress(ConnectionError, EOFError):
                    await speak(reader, writer, SocketInfo.get(writer, None, unique_id=uuid4().bytes))
            finally:
                self._connections.discard(task)
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()

        self._server = await asyncio.start_server(serve, HOST, self.port)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _mailboxes(self) -> MailboxSet:
        assert self._backend is not None, "start() first"
        async with self._backend.login.demo_user_identity.new_session() as session:
            return session.mailbox_set

    async def _folder(self, name: str) -> MailboxData:
        mailboxes = await self._mailboxes()
        try:
            return await mailboxes.get_mailbox(name)
        except KeyError:
            await mailboxes.add_mailbox(name)
            return await mailboxes.get_mailbox(name)

    async def _deliver(self, raw: bytes, folder: str, received_at: datetime) -> int:
        mailbox = await self._folder(folder)
        message = await mailbox.append(AppendMessage(raw, received_at), recent=True)
        return message.uid

    async def _messages(self, folder: str) -> list[tuple[int, frozenset[str]]]:
        mailbox = await self._folder(folder)
        return [(message.uid, frozenset(str(flag) for flag in message.permanent_flags))
                async for message in mailbox.messages()]

    async def _renumber(self, folder: str) -> None:
        mailbox = await self._folder(folder)
        mailbox._uid_validity += 1  # noqa: SLF001 - pymap offers no way to rebuild a folder

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for tasks in (self._connections, asyncio.all_tasks() - {asyncio.current_task()}):
            for task in tuple(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_asyncgens()
