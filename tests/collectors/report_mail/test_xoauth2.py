"""Mailboxes that are opened with an access token: a real Dovecot that asks an authorization server on loopback."""

import socket
import sys
import threading
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from collectors import discover
from collectors.clients.mailbox import MailboxClient
from collectors.contract import CollectorError, Mailbox, Reason
from monitor.database.tables import ReportMailbox
from monitor.facts import Store
from monitor.intake.context import RunContext
from monitor.intake.mailbox_tokens import MailboxTokens
from monitor.intake.run import Runner, Tally
from tests.places import MAIL_CASES
from tests.servers.dovecot import Dovecot
from tests.servers.oauth import AuthorizationServer

SECRETS = {"consent": SecretStr("refresh-0"), "app": SecretStr("opensesame")}
BOUNCE = (MAIL_CASES / "bounce-qmail" / "message.eml").read_bytes()


@pytest.fixture(scope="module")
def running_pair():
    with AuthorizationServer() as provider, Dovecot(tokeninfo_url=provider.tokeninfo_url) as dovecot:
        yield provider, dovecot


@pytest.fixture
def provider(running_pair):
    provider, dovecot = running_pair
    dovecot.new_user()
    provider.user, provider.refresh_token, provider.rotates, provider.answer = dovecot.user, "refresh-0", False, None
    provider.valid, provider.asked = {}, []
    return provider


@pytest.fixture
def dovecot(running_pair):
    return running_pair[1]


def add_box(store: Store, server: Dovecot, **changes) -> None:
    with store.session() as session:
        session.add(ReportMailbox(name="box", purpose="bounces", host="127.0.0.1", port=server.port, tls="none",
                                  username=server.user, auth="xoauth2", done_folder="Done", **changes))


def by_refresh_token(provider: AuthorizationServer) -> dict[str, str]:
    return {"token_url": provider.token_url, "client_id": "vigie", "client_secret": "app", "refresh_token": "consent"}


def run(store: Store, tokens: MailboxTokens | None = None) -> Tally:
    now = datetime.now(UTC)
    collector = discover()["bounces"](discover()["bounces"].Settings())
    context = RunContext(store, "bounces", SECRETS, threading.Event(), now, tokens=tokens)
    return Runner(store, lambda batches: store.intake(batches, now), lambda: now).run(collector, context)


class Fixed:
    """Access tokens one after another, whatever becomes of them."""

    def __init__(self, *tokens: str):
        self.tokens = list(tokens)

    def current(self) -> str:
        return self.tokens[0]

    def after_refusal(self, refused: str) -> str:
        assert refused == self.tokens.pop(0)
        return (self.tokens or [refused])[0]


def refusal(mailbox: Mailbox) -> CollectorError:
    with pytest.raises(CollectorError) as caught, MailboxClient(mailbox):
        pass
    return caught.value


@pytest.mark.real("dovecot")
def test_a_mailbox_is_read_with_the_access_token_of_a_refresh_token(provider, dovecot, store):
    dovecot.deliver(BOUNCE)
    add_box(store, dovecot, **by_refresh_token(provider))

    tally = run(store)

    assert (tally.outcome, tally.text) == ("ok", None)
    assert dovecot.count("Done") == 1
    assert provider.asked[0]["client_secret"] == "opensesame"


@pytest.mark.real("dovecot")
def test_a_mailbox_is_read_with_the_access_token_a_command_prints(provider, dovecot, store):
    dovecot.deliver(BOUNCE)
    add_box(store, dovecot, token_command=[sys.executable, "-c", f"print('{provider.issue()}')"])

    assert (run(store).outcome, dovecot.count("Done"), provider.asked) == ("ok", 1, [])


@pytest.mark.real("dovecot")
def test_an_access_token_is_used_from_run_to_run_and_renewed_once_it_is_refused(provider, dovecot, store):
    add_box(store, dovecot, **by_refresh_token(provider))
    tokens = MailboxTokens(store)
    assert [run(store, tokens).outcome, run(store, tokens).outcome, len(provider.asked)] == ["ok", "ok", 1]

    provider.revoke()

    assert (run(store, tokens).outcome, len(provider.asked)) == ("ok", 2)


@pytest.mark.real("dovecot")
def test_a_mailbox_that_refuses_every_token_is_asked_twice_and_says_what_to_do(provider, dovecot, store):
    add_box(store, dovecot, **by_refresh_token(provider))
    provider.user = "somebody-else"

    tally = run(store)

    assert (tally.reason, len(provider.asked)) == ("auth", 2)
    assert "box: the server refuses the access token for" in tally.text
    assert "check that the token is of this user and grants IMAP" in tally.text
    assert not [secret for secret in ("access-", "refresh-", "opensesame") if secret in tally.text]


@pytest.mark.real("dovecot")
def test_a_rotated_refresh_token_outlives_the_process_and_a_new_consent_takes_its_place(provider, dovecot, store):
    add_box(store, dovecot, **by_refresh_token(provider))
    provider.rotates = True
    assert [run(store).outcome, run(store).outcome] == ["ok", "ok"]
    assert [form["refresh_token"] for form in provider.asked] == ["refresh-0", "refresh-1"]

    provider.refresh_token = "refresh-consented-anew"
    now = datetime.now(UTC)
    secrets = SECRETS | {"consent": SecretStr("refresh-consented-anew")}
    (mailbox,) = RunContext(store, "bounces", secrets, threading.Event(), now).mailboxes("bounces")

    assert mailbox.tokens is not None
    assert mailbox.tokens.current() in provider.valid
    assert [form["refresh_token"] for form in provider.asked[2:]] == ["refresh-consented-anew"]


@pytest.mark.real("dovecot")
def test_an_ended_refresh_token_is_named_with_what_to_do(provider, dovecot, store, caplog):
    add_box(store, dovecot, **by_refresh_token(provider))
    provider.refresh_token = "refresh-other"

    tally = run(store)

    assert tally.reason == "auth"
    assert "invalid_grant, no such token […]) — check client_id and client_secret" in tally.text
    assert "refresh-0" not in tally.text + caplog.text


@pytest.mark.real("dovecot")
def test_a_server_that_knows_no_tokens_is_named(dovecot):
    with Dovecot() as plain:
        error = refusal(Mailbox("box", "127.0.0.1", plain.user, port=plain.port, tls="none", tokens=Fixed("a", "a")))
    assert error.reason is Reason.AUTH


def test_the_exchange_is_the_one_google_and_microsoft_describe():
    """Initial response; JSON challenge answered with an empty line; then another connection with the next token."""
    heard: list[bytes] = []
    tag = b""

    def serve(listener: socket.socket) -> None:
        nonlocal tag
        for _ in range(2):
            with listener.accept()[0] as connection, connection.makefile("rwb", buffering=0) as lines:
                lines.write(b"* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2] ready\r\n")
                for reply in (b"+ \r\n", b"+ eyJzdGF0dXMiOiI0MDAiLCJzY2hlbWVzIjoiQmVhcmVyIn0=\r\n", b"%s NO dXNlcj1mYmw access-1\r\n"):
                    line = lines.readline()
                    while b"CAPABILITY" in line:
                        lines.write(b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2\r\n" + line.split()[0] + b" OK done\r\n")
                        line = lines.readline()
                    heard.append(line)
                    tag = tag if b"AUTHENTICATE" not in line else line.split()[0]
                    lines.write(reply % tag if b"%s" in reply else reply)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        port = listener.getsockname()[1]
        error = refusal(Mailbox("box", "127.0.0.1", "fbl", port=port, tls="none", tokens=Fixed("access-0", "access-1")))
        server.join()

    first, second = heard[:3], heard[3:]
    assert first[0].split()[1:] == [b"AUTHENTICATE", b"XOAUTH2"]
    assert first[1:] == [b"dXNlcj1mYmwBYXV0aD1CZWFyZXIgYWNjZXNzLTABAQ==\r\n", b"\r\n"]
    assert second[1:] == [b"dXNlcj1mYmwBYXV0aD1CZWFyZXIgYWNjZXNzLTEBAQ==\r\n", b"\r\n"]
    assert error.reason is Reason.AUTH
    assert "(status 400)" in error.text
    assert "access-1" not in error.text
