"""Client of IMAP mailboxes (RFC 9051/3501): which mails wait there, and what became of them.

The mailbox itself remembers what is done: a mail waits until it has been moved or marked, and it is moved
or marked only after its facts are committed. So a process killed at any moment loses nothing; at worst a
mail is offered twice, and the same report is stored once. The cursor `{"uidvalidity", "last_uid"}` covers
the one gap this leaves where mails are only marked as seen: a person reading along must not hide a
report, so everything above `last_uid` is offered whatever its flags. `last_uid` advances over settled mails
only; a new UIDVALIDITY starts from the beginning.

Uses MOVE (RFC 6851), UIDPLUS (RFC 4315) and IDLE (RFC 2177) where offered. It may be wrong where a server
invents sizes or dates: sizes are checked again after fetching, dates are for the caller to doubt.
"""

from __future__ import annotations

import contextlib
import selectors
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from imapclient import DELETED, SEEN, IMAPClient, SocketTimeout
from imapclient.exceptions import (
    CapabilityError,
    IMAPClientAbortError,
    IMAPClientError,
    LoginError,
    ProtocolError,
)

from collectors.clients.xoauth2 import Xoauth2
from collectors.contract import CollectorError, Mailbox, Reason, Tls

DONE_KEYWORD = "VigieDone"
TIMEOUT = SocketTimeout(connect=15, read=60)
SEARCH_WINDOW = 50_000  # messages per SEARCH: its answer is one line, and imaplib refuses lines over 1 MB
FETCH_COUNT = 200
FETCH_BYTES = 8_000_000  # bodies held in memory at once
HEAD_BYTES = 65_536  # what is kept of a mail that is too large
LARGEST_UID = 2**32 - 1
RENEW_SECONDS = 600.0  # RFC 2177 asks for less than 29 minutes; middleboxes forget a silent connection sooner
POLL_SECONDS = 60.0  # where IDLE is not offered
STOP_SECONDS = 0.5  # how soon a stop is noticed

# first match wins: special cases stand before the classes they derive from
REASONS: tuple[tuple[type[Exception], Reason], ...] = (
    (TimeoutError, Reason.TIMEOUT),
    (ssl.SSLError, Reason.TLS),
    (OSError, Reason.NETWORK),
    (IMAPClientAbortError, Reason.NETWORK),
    (CapabilityError, Reason.TLS),  # only STARTTLS is asked for without looking first
    (LoginError, Reason.AUTH),
    (ProtocolError, Reason.MALFORMED),
    (IMAPClientError, Reason.REFUSED),
    (ValueError, Reason.MALFORMED),
)
# RFC 5530 response codes: refused for another reason than the command suggests
CODES: tuple[tuple[str, Reason], ...] = (
    ("[UNAVAILABLE]", Reason.NETWORK),
    ("[SERVERBUG]", Reason.NETWORK),
    ("[INUSE]", Reason.QUOTA),
    ("[LIMIT]", Reason.QUOTA),
    ("[PRIVACYREQUIRED]", Reason.TLS),
)


class Letter(NamedTuple):
    """One mail as it lies in the mailbox; `raw` is only its beginning where `whole` is False."""

    uid: int
    raw: bytes
    size: int
    received_at: datetime  # the server's INTERNALDATE
    whole: bool = True


class MailboxClient:
    """An open mailbox. `with MailboxClient(mailbox) as client:` connects, logs in and selects the folder."""

    def __init__(self, mailbox: Mailbox, *, read_only: bool = False,
                 timeout: SocketTimeout = TIMEOUT) -> None:
        self.mailbox = mailbox
        self.uidvalidity = 0
        self.exists = 0
        self._read_only = read_only
        self._timeout = timeout
        self._client: IMAPClient | None = None
        self._mark = SEEN
        self._last_uid = 0
        self._offered: list[int] = []
        self._settled: set[int] = set()
        self._waiting: dict[str | None, list[int]] = {}
        self._folders: set[str] = set()

    def __enter__(self) -> Self:
        with sorted_errors(self.mailbox):
            self._client = connect(self.mailbox, self._timeout)
            try:
                self._select()
            except BaseException:
                self._hang_up()
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            # where there is an error already, that one is to be reported
            with contextlib.suppress(*((CollectorError,) if kind else ())):
                self.flush()
        finally:
            if kind is None:
                with contextlib.suppress(OSError, IMAPClientError):
                    self.imap.logout()
            self._hang_up()

    @property
    def imap(self) -> IMAPClient:
        if self._client is None:
            text = f"mailbox {self.mailbox.name} is closed: acknowledge a batch before asking for more"
            raise CollectorError(Reason.INTERNAL, text)
        return self._client

    @property
    def cursor(self) -> dict[str, int]:
        """Up to where every mail has been settled; safe to commit at any time."""
        last_uid = self._last_uid
        for uid in self._offered:
            if uid not in self._settled:
                break
            last_uid = max(last_uid, uid)
        return {"uidvalidity": self.uidvalidity, "last_uid": last_uid}

    def letters(self, cursor: Mapping[str, Any] | None, limit: int, max_bytes: int) -> Iterator[Letter]:
        """At most `limit` waiting mails, oldest UID first; of those above `max_bytes` only the beginning."""
        if cursor and cursor.get("uidvalidity") == self.uidvalidity:
            self._last_uid = int(cursor.get("last_uid", 0))
        with sorted_errors(self.mailbox):
            self._offered = self._search(limit)
        for start in range(0, len(self._offered), FETCH_COUNT):
            uids = self._offered[start:start + FETCH_COUNT]
            with sorted_errors(self.mailbox):
                facts = self.imap.fetch(uids, ["RFC822.SIZE", "INTERNALDATE"])
            sizes = {uid: int(facts[uid][b"RFC822.SIZE"]) for uid in uids
                     if b"RFC822.SIZE" in facts.get(uid, {})}  # without a size it is only news of flags
            self._settled.update(set(uids) - set(sizes))  # gone meanwhile: somebody else settled them
            for group in groups(sizes, max_bytes):
                self.flush()
                for uid, raw in self._bodies(group, max_bytes, whole=sizes[group[0]] <= max_bytes):
                    received_at = facts[uid].get(b"INTERNALDATE", datetime.now(UTC)).astimezone(UTC)
                    size = max(sizes[uid], len(raw))  # servers have been seen to understate it
                    whole = size <= max_bytes
                    yield Letter(uid, raw if whole else raw[:HEAD_BYTES], size, received_at, whole)

    def finish(self, uid: int) -> None:
        """Its facts are committed: to the done folder, or marked. Done in bulk, at the latest on leaving."""
        self._settle(uid, self.mailbox.done_folder)

    def park(self, uid: int) -> None:
        """It could not be used and that is committed: to the parked folder, else as `finish` does."""
        self._settle(uid, self.mailbox.parked_folder or self.mailbox.done_folder)

    def flush(self) -> None:
        """Mark or move on the server what was settled so far."""
        with sorted_errors(self.mailbox):
            while self._waiting:
                folder, uids = next(iter(self._waiting.items()))
                if folder:
                    self._move(uids, folder)
                else:
                    self.imap.add_flags(uids, sorted({SEEN, self._mark}), silent=True)
                self._settled.update(uids)
                del self._waiting[folder]

    def _settle(self, uid: int, folder: str | None) -> None:
        _ = self.imap  # raises where the client is closed: a late acknowledgement must be seen
        self._waiting.setdefault(folder, []).append(uid)

    def _select(self) -> None:
        folder = self.mailbox.folder
        try:
            status = self.imap.select_folder(folder, readonly=self._read_only)
        except IMAPClientAbortError:
            raise
        except IMAPClientError as error:
            reason = coded(error, Reason.NOT_FOUND)
            raise CollectorError(reason, f"{self.mailbox.name}: folder {folder}: {error}") from error
        self.uidvalidity = int(status.get(b"UIDVALIDITY", 0))
        self.exists = int(status.get(b"EXISTS", 0))
        if b"\\*" in status.get(b"PERMANENTFLAGS", ()):
            self._mark = DONE_KEYWORD.encode()

    def _search(self, limit: int) -> list[int]:
        still_open = "UNSEEN" if self._mark == SEEN else f"UNKEYWORD {DONE_KEYWORD}"
        wanted = "UNDELETED"
        if self.mailbox.done_folder is None:
            wanted += f" OR {still_open} UID {self._last_uid + 1}:{LARGEST_UID}"
        windows = [""]
        if self.exists > SEARCH_WINDOW:
            windows = [f"{first}:{min(first + SEARCH_WINDOW - 1, self.exists)} "
                       for first in range(1, self.exists + 1, SEARCH_WINDOW)]
        uids: list[int] = []
        for window in windows:
            uids += sorted(self.imap.search(window + wanted))
            if len(uids) >= limit:
                break
        return uids[:limit]

    def _bodies(self, uids: Sequence[int], max_bytes: int, *, whole: bool) -> Iterator[tuple[int, bytes]]:
        part = "BODY.PEEK[]" if whole else f"BODY.PEEK[]<0.{min(HEAD_BYTES, max_bytes)}>"
        with sorted_errors(self.mailbox):
            bodies = self.imap.fetch(uids, [part])
        for uid in uids:
            items = bodies.get(uid, {}).items()
            raw = next((value for name, value in items if name.startswith(b"BODY[]")), None)
            if raw is None:
                self._settled.add(uid)
            else:
                yield uid, raw

    def _move(self, uids: list[int], folder: str) -> None:
        client = self.imap
        if folder not in self._folders and not client.folder_exists(folder):
            client.create_folder(folder)
        self._folders.add(folder)
        if client.has_capability("MOVE"):
            client.move(uids, folder)
            return
        client.copy(uids, folder)
        client.add_flags(uids, [DELETED], silent=True)
        if client.has_capability("UIDPLUS"):  # a bare EXPUNGE would take what others have marked for deletion
            client.uid_expunge(uids)

    def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(OSError, IMAPClientError):
                client.shutdown()


def connect(mailbox: Mailbox, timeout: SocketTimeout) -> IMAPClient:
    """A logged-in client. An access token that is refused is renewed once; a new connection is made for it."""
    if mailbox.tokens is None:
        return _connected(mailbox, timeout, lambda client: client.login(mailbox.username, mailbox.password))
    token = mailbox.tokens.current()
    try:
        return _connected(mailbox, timeout, Xoauth2(mailbox.username, token).log_in)
    except LoginError as error:
        if reason_of(error) is not Reason.AUTH:
            raise
        renewed = mailbox.tokens.after_refusal(token)
        if renewed == token:
            raise
    return _connected(mailbox, timeout, Xoauth2(mailbox.username, renewed).log_in)


def _connected(mailbox: Mailbox, timeout: SocketTimeout, log_in: Callable[[IMAPClient], object]) -> IMAPClient:
    """Nothing stays open where it fails."""
    context = ssl.create_default_context()
    client = IMAPClient(mailbox.host, mailbox.port, ssl=mailbox.tls == Tls.IMPLICIT, ssl_context=context,
                        timeout=timeout)
    try:
        client.normalise_times = False  # dates with their zone
        if mailbox.tls == Tls.STARTTLS:
            client.starttls(context)
        log_in(client)
    except BaseException:
        with contextlib.suppress(OSError, IMAPClientError):
            client.shutdown()
        raise
    return client


@contextlib.contextmanager
def sorted_errors(mailbox: Mailbox) -> Iterator[None]:
    """Whatever goes wrong with this mailbox becomes a CollectorError with its reason."""
    try:
        yield
    except tuple(kind for kind, _ in REASONS) as error:
        raise CollectorError(reason_of(error), f"{mailbox.name}: {error}") from error


def reason_of(error: Exception) -> Reason:
    if isinstance(error, LoginError) and isinstance(error.__context__, IMAPClientAbortError):
        return Reason.NETWORK  # cut off while logging in: not the password
    sorted_by_class = next(reason for kind, reason in REASONS if isinstance(error, kind))
    return coded(error, sorted_by_class) if isinstance(error, IMAPClientError) else sorted_by_class


def coded(error: Exception, otherwise: Reason) -> Reason:
    """What the response code in the server's answer says, if it says anything."""
    return next((reason for code, reason in CODES if code in str(error).upper()), otherwise)


def groups(sizes: Mapping[int, int], max_bytes: int) -> Iterator[list[int]]:
    """UIDs to fetch together: bounded in bytes; what is too large stands alone."""
    group: list[int] = []
    held = 0
    for uid, size in sizes.items():
        if group and (held + size > FETCH_BYTES or size > max_bytes):
            yield group
            group, held = [], 0
        if size > max_bytes:
            yield [uid]
            continue
        group.append(uid)
        held += size
    if group:
        yield group


def arrivals(mailbox: Mailbox, stop: threading.Event, poll_seconds: float = POLL_SECONDS) -> Iterator[None]:
    """Yield once listening (what came before is unknown) and each time mail arrives, until `stop` is set.

    Mail that arrives in the instant between two IDLE commands may be noticed late: news shortens the wait for
    the collector's next turn, it does not replace it. Raises CollectorError; the caller backs off.
    """
    with MailboxClient(mailbox, read_only=True) as client, sorted_errors(mailbox):
        idles = client.imap.has_capability("IDLE")
        news = True
        while not stop.is_set():
            if idles:
                client.imap.idle()
            if news:  # reported while already listening, so that nothing falls between
                yield
            news = _idle(client, stop) if idles else _poll(client, stop, poll_seconds)


def _idle(client: MailboxClient, stop: threading.Event) -> bool:
    """Wait in IDLE for news, renewal or stop, then end it; True when mails have arrived.

    Waits on the socket itself: imapclient's own `idle_check` fails on a line that comes in two packets.
    """
    ends_at = time.monotonic() + RENEW_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(client.imap.socket(), selectors.EVENT_READ)
        while not stop.is_set() and time.monotonic() < ends_at and not selector.select(STOP_SECONDS):
            pass
    _, lines = client.imap.idle_done()
    return _more_mails(client, lines)


def _poll(client: MailboxClient, stop: threading.Event, seconds: float) -> bool:
    stop.wait(seconds)
    _, lines = client.imap.noop()
    return _more_mails(client, lines)


def _more_mails(client: MailboxClient, lines: Sequence[Any]) -> bool:
    """Whether untagged answers announce more mails; our own moves (EXPUNGE) are no news."""
    news = False
    for line in lines:
        if len(line) > 1 and line[1] == b"EXISTS":
            news |= line[0] > client.exists
            client.exists = line[0]
        elif len(line) > 1 and line[1] == b"EXPUNGE":
            client.exists -= 1
    return news
