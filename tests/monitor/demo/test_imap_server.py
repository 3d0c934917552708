import pytest
from imapclient import IMAPClient

from monitor.demo.servers.imap import ImapServer

MAIL = b"From: feedback@example.org\r\nSubject: report\r\n\r\n8 bit: \xff\r\n"


def test_a_mail_is_kept_as_it_was_delivered_in_any_folder():
    with ImapServer("fbl", "secret") as server, IMAPClient("127.0.0.1", server.port, ssl=False) as client:
        client.login("fbl", "secret")
        for folder in ("INBOX", "Copies"):
            uid = server.deliver(MAIL, folder)
            client.select_folder(folder)
            assert client.fetch([uid], ["BODY.PEEK[]"])[uid][b"BODY[]"] == MAIL
            assert server.messages(folder) == [(uid, frozenset())]


def test_it_offers_what_a_feedback_loop_reader_uses():
    with ImapServer("fbl", "secret") as server, IMAPClient("127.0.0.1", server.port, ssl=False) as client:
        client.login("fbl", "secret")
        assert {b"IDLE", b"MOVE", b"UIDPLUS"} <= set(client.capabilities())


def test_it_closes_at_once_with_clients_connected_and_idling_and_may_start_again():
    server = ImapServer("fbl", "secret")
    for _ in range(2):
        port = server.start()
        client = IMAPClient("127.0.0.1", port, ssl=False)
        client.login("fbl", "secret")
        client.select_folder("INBOX")
        client.idle()
        server.close()
        client.shutdown()


def test_closing_one_that_never_started_is_nothing_and_delivering_to_it_is_an_error():
    server = ImapServer("fbl", "secret")
    server.close()
    with pytest.raises(RuntimeError, match="not running"):
        server.deliver(MAIL)
