"""Against two real servers: pymap in this process (`Seen` only), and Dovecot (keywords, TLS, Maildir)."""

import signal
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from imapclient import IMAPClient, SocketTimeout

from collectors.clients import mailbox as mailbox_module
from collectors.clients.mailbox import MailboxClient, arrivals, groups
from collectors.contract import CollectorError, Mailbox, Reason
from monitor.demo.servers.imap import ImapServer
from tests.servers.dovecot import Dovecot
from tests.waiting import PATIENCE_SECONDS, ended

PASSWORD = Dovecot.password
LARGE = 1_000_000


def letter(number: int, size: int = 0) -> bytes:
    return (f"From: feedback@example.org\r\nTo: fbl@example.com\r\nSubject: report {number}\r\n"
            f"Message-ID: <{number}@example.org>\r\n\r\n").encode() + b"x" * size + b"\r\n"


@pytest.fixture
def pymap():
    with ImapServer("fbl", PASSWORD) as server:
        yield server


@pytest.fixture(scope="module")
def running_dovecot():
    with Dovecot() as server:
        yield server


@pytest.fixture
def dovecot(running_dovecot):
    running_dovecot.new_user()
    return running_dovecot


@pytest.fixture(params=["pymap", pytest.param("dovecot", marks=pytest.mark.real("dovecot"))])
def server(request):
    return request.getfixturevalue(request.param)


def box(server, **changes) -> Mailbox:
    return replace(Mailbox("fbl", "127.0.0.1", server.user, PASSWORD, port=server.port, tls="none"), **changes)


def read(mailbox: Mailbox, cursor=None, limit=100, max_bytes=LARGE, settle="finish"):
    """One run that settles what it reads; what was read and the cursor at the end."""
    with MailboxClient(mailbox) as client:
        letters = []
        for letter in client.letters(cursor, limit, max_bytes):
            letters.append(letter)
            if settle:
                getattr(client, settle)(letter.uid)
        client.flush()
        return letters, client.cursor


def subjects(letters) -> list[str]:
    return [letter.raw.split(b"Subject: ")[1].split(b"\r\n")[0].decode() for letter in letters]


def look(server, folder: str) -> list[set[bytes]]:
    """The flags of what lies in a folder, as another client sees it; [] where there is no such folder."""
    with IMAPClient("127.0.0.1", server.port, ssl=False) as client:
        client.login(server.user, PASSWORD)
        if not client.folder_exists(folder):
            return []
        client.select_folder(folder, readonly=True)
        uids = client.search("ALL")
        return [set(flags) - {b"\\Recent"} for flags in client.get_flags(uids).values()] if uids else []


def test_mails_come_oldest_first_byte_for_byte_with_the_time_of_their_receipt(server):
    sent = [letter(number, size=number * 10) for number in range(5)]
    for raw in sent:
        server.deliver(raw)

    letters, _ = read(box(server))

    assert [letter.raw for letter in letters] == sent
    assert [letter.uid for letter in letters] == sorted(letter.uid for letter in letters)
    assert all(abs((letter.received_at - datetime.now(UTC)).total_seconds()) < 60 for letter in letters)


def test_a_finished_mail_is_moved_to_the_done_folder_and_not_offered_again(server):
    server.deliver(letter(1))
    mailbox = box(server, done_folder="Done")

    letters, cursor = read(mailbox)

    assert subjects(letters) == ["report 1"]
    assert len(look(server, "Done")) == 1
    assert look(server, "INBOX") == []
    assert read(mailbox, cursor)[0] == []


def test_a_finished_mail_is_marked_where_there_is_no_done_folder(server):
    server.deliver(letter(1))

    _, cursor = read(box(server))

    assert b"\\Seen" in look(server, "INBOX")[0]
    assert read(box(server), cursor)[0] == []


@pytest.mark.real("dovecot")
def test_a_server_with_keywords_carries_our_own_mark_so_that_a_reader_hides_nothing(dovecot):
    dovecot.deliver(letter(1))
    dovecot.deliver(letter(2))
    read(box(dovecot), limit=1)
    with IMAPClient("127.0.0.1", dovecot.port, ssl=False) as client:
        client.login(dovecot.user, PASSWORD)
        client.select_folder("INBOX")
        client.add_flags(client.search("ALL"), [b"\\Seen"])

    assert subjects(read(box(dovecot), {"uidvalidity": 0})[0]) == ["report 1", "report 2"]  # another mailbox's cursor
    assert look(dovecot, "INBOX")[0] == {b"\\Seen", b"VigieDone"}


def test_a_mail_somebody_has_read_before_us_is_still_offered(pymap):
    pymap.deliver(letter(1))
    _, cursor = read(box(pymap))
    pymap.deliver(letter(2))
    with IMAPClient("127.0.0.1", pymap.port, ssl=False) as client:
        client.login(pymap.user, PASSWORD)
        client.select_folder("INBOX")
        client.add_flags(client.search("ALL"), [b"\\Seen"])

    assert subjects(read(box(pymap), cursor)[0]) == ["report 2"]


KILLED = """
import os, signal, sys
from collectors.contract import Mailbox
from collectors.clients.mailbox import MailboxClient

host, user, password, port, done = sys.argv[1:]
with MailboxClient(Mailbox("fbl", host, user, password, int(port), "none", done_folder=done or None)) as client:
    letters = client.letters(None, 10, 1_000_000)
    client.finish(next(letters).uid)
    client.flush()
    next(letters)  # fetched, its facts not committed
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("done_folder", [None, "Done"])
def test_a_process_killed_between_fetching_and_committing_loses_nothing(server, done_folder):
    for number in range(3):
        server.deliver(letter(number))
    ended = subprocess.run([sys.executable, "-c", KILLED, "127.0.0.1", server.user, PASSWORD, str(server.port),
                            done_folder or ""], check=False, timeout=PATIENCE_SECONDS)
    assert ended.returncode == -signal.SIGKILL

    # the cursor of the run that was killed was never committed: what is done, the mailbox itself remembers
    letters, _ = read(box(server, done_folder=done_folder), {"uidvalidity": 0, "last_uid": 0})

    assert subjects(letters)[-2:] == ["report 1", "report 2"]


def test_the_cursor_stops_below_the_first_mail_that_is_not_settled(server):
    for number in range(3):
        server.deliver(letter(number))
    with MailboxClient(box(server)) as client:
        first, second, third = client.letters(None, 10, LARGE)
        client.finish(first.uid)
        client.finish(third.uid)
        assert client.cursor["last_uid"] == 0  # noted, but the server does not know yet
        client.flush()
        assert client.cursor["last_uid"] == first.uid
        client.finish(second.uid)
        client.flush()
        assert client.cursor["last_uid"] == third.uid


def test_a_new_uidvalidity_starts_from_the_beginning(server):
    for number in range(2):
        server.deliver(letter(number))
    _, cursor = read(box(server))
    assert read(box(server), cursor)[0] == []

    server.renumber()

    letters, after = read(box(server), cursor)
    assert subjects(letters) == ["report 0", "report 1"]
    assert after["uidvalidity"] != cursor["uidvalidity"]


def test_a_run_takes_no_more_than_its_limit_and_the_next_goes_on(server):
    for number in range(5):
        server.deliver(letter(number))

    first, cursor = read(box(server), limit=3)
    second, _ = read(box(server), cursor, limit=3)

    assert subjects(first) + subjects(second) == [f"report {number}" for number in range(5)]


@pytest.mark.real("dovecot")
def test_a_long_mailbox_is_searched_in_windows(dovecot, monkeypatch):
    monkeypatch.setattr(mailbox_module, "SEARCH_WINDOW", 2)
    monkeypatch.setattr(mailbox_module, "FETCH_COUNT", 3)
    for number in range(7):
        dovecot.deliver(letter(number))

    assert subjects(read(box(dovecot, done_folder="Done"))[0]) == [f"report {number}" for number in range(7)]


def test_of_a_mail_that_is_too_large_only_the_beginning_is_fetched(server):
    for raw in (letter(1), letter(2, size=50_000), letter(3)):
        server.deliver(raw)

    letters, _ = read(box(server), max_bytes=10_000)

    assert [letter.whole for letter in letters] == [True, False, True]
    assert len(letters[1].raw) == 10_000
    assert letters[1].size > 50_000


def test_a_parked_mail_lands_in_the_parked_folder_made_for_it(server):
    server.deliver(letter(1))

    read(box(server, parked_folder="Parked"), settle="park")

    assert len(look(server, "Parked")) == 1
    assert look(server, "INBOX") == []


def test_without_a_parked_folder_a_parked_mail_goes_where_finished_ones_go(server):
    server.deliver(letter(1))

    read(box(server, done_folder="Done"), settle="park")

    assert len(look(server, "Done")) == 1


@pytest.mark.real("dovecot")
@pytest.mark.parametrize("capabilities", ["IMAP4rev1 UIDPLUS", "IMAP4rev1"])
def test_without_move_a_mail_is_copied_and_deleted_and_nobody_elses_deleted_mail_goes_with_it(capabilities):
    with Dovecot(capabilities=capabilities) as server:
        for number in range(2):
            server.deliver(letter(number))
        with IMAPClient("127.0.0.1", server.port, ssl=False) as client:
            client.login(server.user, PASSWORD)
            client.select_folder("INBOX")
            client.delete_messages([1])

        letters, _ = read(box(server, done_folder="Done"))

        assert subjects(letters) == ["report 1"]
        assert len(look(server, "Done")) == 1
        assert len(look(server, "INBOX")) == (1 if "UIDPLUS" in capabilities else 2)
        assert read(box(server, done_folder="Done"))[0] == []


def test_a_mail_acknowledged_after_the_mailbox_was_closed_is_an_error_and_not_silence(pymap):
    pymap.deliver(letter(1))
    with MailboxClient(box(pymap)) as client:
        fetched = next(client.letters(None, 10, LARGE))

    with pytest.raises(CollectorError, match="closed"):
        client.finish(fetched.uid)


def reason(mailbox: Mailbox, timeout: float = PATIENCE_SECONDS) -> Reason:
    with pytest.raises(CollectorError) as error, \
            MailboxClient(mailbox, timeout=SocketTimeout(connect=timeout, read=timeout)):
        pass
    assert PASSWORD not in str(error.value)
    return error.value.reason


def test_a_wrong_password_is_an_auth_error(server):
    assert reason(box(server, password="wrong")) is Reason.AUTH


def test_a_missing_folder_is_not_found(server):
    assert reason(box(server, folder="Reports")) is Reason.NOT_FOUND


def test_a_closed_port_is_a_network_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert reason(Mailbox("fbl", "127.0.0.1", "fbl", PASSWORD, taken.getsockname()[1], "none")) is Reason.NETWORK


def test_a_server_that_says_nothing_is_a_timeout():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert reason(Mailbox("fbl", "127.0.0.1", "fbl", PASSWORD, port, "none"), timeout=0.5) is Reason.TIMEOUT


@pytest.mark.parametrize(("answer", "expected"), [
    (b"NO [UNAVAILABLE] try later", Reason.NETWORK),
    (b"NO [LIMIT] too many sessions", Reason.QUOTA),
    (b"NO [AUTHENTICATIONFAILED] no", Reason.AUTH),
    (b"", Reason.NETWORK),  # cut off
])
def test_a_refused_login_is_sorted_by_what_the_server_says(answer, expected):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            client, _ = listener.accept()
            with client, client.makefile("rb") as lines:
                client.sendall(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
                for line in lines:
                    tag, _, command = line.partition(b" ")
                    if command.upper().startswith(b"CAPABILITY"):
                        client.sendall(b"* CAPABILITY IMAP4rev1\r\n" + tag + b" OK done\r\n")
                    elif answer:
                        client.sendall(tag + b" " + answer + b"\r\n")
                    else:
                        return
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        assert reason(Mailbox("fbl", "127.0.0.1", "fbl", PASSWORD, port, "none")) is expected
        thread.join(2)


@pytest.mark.real("dovecot")
def test_a_certificate_nobody_vouches_for_is_a_tls_error_and_a_trusted_one_is_read(monkeypatch):
    with Dovecot(tls=True) as server:
        server.deliver(letter(1))
        implicit = box(server, host="localhost", tls="implicit", port=server.tls_port)
        starttls = box(server, host="localhost", tls="starttls")
        assert reason(implicit) is Reason.TLS
        assert reason(starttls) is Reason.TLS

        monkeypatch.setenv("SSL_CERT_FILE", str(server.base / "cert.pem"))
        for mailbox in (implicit, starttls):
            assert subjects(read(mailbox, settle=None)[0]) == ["report 1"]


def test_starttls_that_is_not_offered_is_a_tls_error_and_no_password_is_sent(server):
    assert reason(box(server, tls="starttls")) is Reason.TLS


def listen(mailbox: Mailbox, stop: threading.Event, **options):
    """Arrivals in a thread: one release of the semaphore for each."""
    heard = threading.Semaphore(0)

    def run():
        for _ in arrivals(mailbox, stop, **options):
            heard.release()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return heard, thread


def test_idle_wakes_when_mail_arrives_and_not_when_we_move_it_away(server):
    stop = threading.Event()
    heard, thread = listen(box(server), stop)
    assert heard.acquire(timeout=PATIENCE_SECONDS)  # connected

    server.deliver(letter(1))
    assert heard.acquire(timeout=PATIENCE_SECONDS)
    read(box(server, done_folder="Done"))
    assert not heard.acquire(timeout=1.5)  # what must not happen can only be waited for

    server.deliver(letter(2))
    assert heard.acquire(timeout=PATIENCE_SECONDS)
    stop.set()
    assert ended(thread)


@pytest.mark.real("dovecot")
def test_idle_wakes_over_tls(monkeypatch):
    with Dovecot(tls=True) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.base / "cert.pem"))
        stop = threading.Event()
        heard, thread = listen(box(server, host="localhost", tls="implicit", port=server.tls_port), stop)
        assert heard.acquire(timeout=PATIENCE_SECONDS)

        server.deliver(letter(1))

        assert heard.acquire(timeout=PATIENCE_SECONDS)
        stop.set()
        assert ended(thread)


def test_idle_is_renewed_before_the_server_gives_up(pymap, monkeypatch):
    monkeypatch.setattr(mailbox_module, "RENEW_SECONDS", 0.2)
    stop = threading.Event()
    renewed, idle = threading.Semaphore(0), IMAPClient.idle
    monkeypatch.setattr(IMAPClient, "idle", lambda client: renewed.release() or idle(client))
    heard, thread = listen(box(pymap), stop)
    assert heard.acquire(timeout=PATIENCE_SECONDS)
    for _ in range(3):
        assert renewed.acquire(timeout=PATIENCE_SECONDS)

    pymap.deliver(letter(1))

    assert heard.acquire(timeout=PATIENCE_SECONDS)
    stop.set()
    assert ended(thread)


@pytest.mark.real("dovecot")
def test_without_idle_the_mailbox_is_polled():
    with Dovecot(capabilities="IMAP4rev1 UIDPLUS") as server:
        stop = threading.Event()
        heard, thread = listen(box(server), stop, poll_seconds=0.1)
        assert heard.acquire(timeout=PATIENCE_SECONDS)

        server.deliver(letter(1))

        assert heard.acquire(timeout=PATIENCE_SECONDS)
        stop.set()
        assert ended(thread)


def test_what_is_fetched_together_is_bounded_in_bytes_and_the_too_large_stands_alone():
    sizes = {1: 5_000_000, 2: 2_000_000, 3: 2_000_000, 4: 20_000_000, 5: 1}
    assert list(groups(sizes, 10_000_000)) == [[1, 2], [3], [4], [5]]
