"""The policy server: asked by Debian's real Postfix, and by a client that says what Postfix never would."""

import smtplib
import socket
import threading
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest

from monitor.config.mta import PostfixPolicy, WhenAway
from monitor.gate import build_index
from monitor.mta.postfix.request import AWAY_AFTER, NoRequestError, action, asked_of, read_request
from monitor.mta.running import serve_postfix
from monitor.restrictions.follow import GateIndex
from tests.monitor.mta.conftest import Platform, now
from tests.servers.postfix import Postfix
from tests.waiting import PATIENCE_SECONDS, ended, free_port


@contextmanager
def policy(store, gate=None, **settings):
    gate = gate or GateIndex()
    if store is not None:
        gate.refresh(store, now(), everything=True)
    port, stop, ready = free_port(), threading.Event(), threading.Event()
    configured = PostfixPolicy(listen=f"127.0.0.1:{port}", **settings)
    thread = threading.Thread(target=serve_postfix, args=(configured, gate, now, stop, ready.set))
    thread.start()
    assert ready.wait(PATIENCE_SECONDS)
    try:
        yield Platform(store, gate, None, port)
    finally:
        stop.set()
        assert ended(thread)


class Client:
    """As Postfix's: one connection, request after request."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        self.file = self.socket.makefile("rb")

    def send(self, raw):
        self.socket.sendall(raw)
        return self.file.readline() + self.file.readline()

    def ask(self, **attributes):
        lines = {"request": "smtpd_access_policy", "protocol_state": "RCPT", **attributes}
        return self.send("".join(f"{key}={value}\n" for key, value in lines.items()).encode() + b"\n").decode()

    def close(self):
        self.file.close()
        self.socket.close()


@pytest.fixture
def asking(kumo_store):
    with policy(kumo_store) as platform:
        client = Client(platform.url)
        yield platform, client
        client.close()


def test_one_connection_is_asked_again_and_again(asking):
    platform, client = asking
    for _ in range(3):
        assert client.ask(sender="b@acme.example", recipient="u@gmail.com") == "action=DUNNO\n\n"
    held = platform.hold({"customer": "acme", "provider": "gmail"}, reason="too many\ncomplaints: 0,4 % — véry bad")
    assert client.ask(sender="b@acme.example", recipient="u@gmail.com") == "action=DEFER too many complaints: 0,4 % ? v?ry bad\n\n"
    assert client.ask(sender="b@acme.example", recipient="u@orange.fr") == "action=DUNNO\n\n"
    platform.lift(held)
    assert client.ask(sender="b@acme.example", recipient="u@gmail.com") == "action=DUNNO\n\n"


def test_whose_mail_it_is(asking):
    platform, client = asking
    platform.hold({"customer": "acme"}, reason="held")
    assert client.ask(sender="x@elsewhere.example", policy_context="customer=acme stream=news") == "action=DEFER held\n\n"
    assert client.ask(sender="b@mail.acme.example") == "action=DEFER held\n\n"
    assert client.ask(sender="x@elsewhere.example", sasl_username="acme") == "action=DEFER held\n\n"
    assert client.ask(sender="x@elsewhere.example", sasl_username="ann") == "action=DUNNO\n\n"
    assert client.ask(sender="b@acme.example", policy_context="customer=bolt") == "action=DUNNO\n\n"
    assert client.ask(sender="", recipient="u@gmail.com") == "action=DUNNO\n\n"


def test_a_slow_customer_is_not_held(asking):
    platform, client = asking
    platform.hold({"customer": "acme"}, effect="slow", rate_per_hour=10)
    assert client.ask(sender="b@acme.example") == "action=DUNNO\n\n"


def test_an_answer_is_one_line_of_at_most_400_characters(asking):
    platform, client = asking
    platform.hold({"customer": "acme"}, reason="x" * 900)
    answer = client.ask(sender="b@acme.example")
    assert len(answer.removeprefix("action=").rstrip("\n")) == 400


@pytest.mark.parametrize(
    "raw", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\n", b"request=other\n\n", b"nonsense\n\n", b"request=smtpd_access_policy\nx=" + b"y" * 20_000 + b"\n\n",
            b"request=smtpd_access_policy\n" + b"a=b\n" * 1_000 + b"\n", b"\xff\xfe\x00\n\n"],
)  # fmt: skip
def test_what_is_no_request_is_closed_without_an_answer_and_the_next_connection_is_served(asking, raw):
    platform, client = asking
    with suppress(ConnectionResetError):
        assert client.send(raw) == b""
    other = Client(platform.url)
    assert other.ask(sender="b@acme.example") == "action=DUNNO\n\n"
    other.close()


def test_strangers_are_closed(kumo_store):
    with policy(kumo_store, allow=["198.51.100.0/24"]) as platform:
        client = Client(platform.url)
        with suppress(BrokenPipeError, ConnectionResetError):
            assert client.ask(sender="b@acme.example") == ""
        client.close()


@pytest.mark.parametrize(("when_away", "answer"), [("dunno", "action=DUNNO\n\n"), ("defer", "action=DEFER the restrictions are not known\n\n")])
def test_what_is_answered_before_anything_is_known(when_away, answer):
    with policy(None, when_away=when_away) as platform:
        platform.gate.owners, platform.gate.names = GateIndex().owners, GateIndex().names
        client = Client(platform.url)
        assert client.ask(policy_context="customer=acme", recipient="u@gmail.com") == answer
        client.close()


def test_old_restrictions_decide_on_and_what_is_held_stays_held(kumo_store):
    gate = GateIndex()
    gate.refresh(kumo_store, now(), everything=True)
    request = asked_of(read_request([b"request=smtpd_access_policy", b"sender=b@acme.example"]), gate.owners, gate.names)
    old = now() + AWAY_AFTER + timedelta(seconds=1)
    assert action(request, gate.index, now(), WhenAway.DEFER) == "DUNNO"
    assert action(request, gate.index, old, WhenAway.DEFER) == "DEFER the restrictions are not known"
    assert action(request, gate.index, old, WhenAway.DUNNO) == "DUNNO"
    Platform(kumo_store, gate, None, 0).hold({"customer": "acme"}, reason="held")
    assert action(request, gate.index, now() + AWAY_AFTER + timedelta(seconds=9), WhenAway.DUNNO) == "DEFER held"
    assert action(None, build_index((), version=0, built_at=now()), old, WhenAway.DEFER) == "DUNNO"


def test_the_last_of_an_attribute_that_comes_twice_counts():
    assert read_request([b"request=smtpd_access_policy", b"sender=a@x", b"sender=b@y", b"new_one=1"])["sender"] == "b@y"
    with pytest.raises(NoRequestError):
        read_request([])


@pytest.mark.real("postfix")
def test_a_real_postfix_defers_what_is_held_and_takes_the_rest(kumo_store, tmp_path):
    services = ("", "-o smtpd_policy_service_policy_context=customer=bolt")
    with policy(kumo_store) as platform:
        restrictions = f"check_policy_service inet:127.0.0.1:{platform.url}, permit_mynetworks, reject"
        with Postfix(tmp_path / "postfix", restrictions, services) as postfix:
            acme, bolt = (smtplib.SMTP("127.0.0.1", postfix.ports[service], timeout=PATIENCE_SECONDS) for service in services)
            with acme, bolt:
                assert submitted(acme, "ann@gmail.com") == (250, "2.1.5 Ok")
                held = platform.hold({"customer": "acme", "provider": "gmail"}, reason="too many complaints")
                code, text = submitted(acme, "ann@gmail.com")
                assert (code, text.split(": ", 1)[0]) == (450, "4.7.1 <ann@gmail.com>")
                assert text.endswith("too many complaints")
                assert submitted(acme, "ann@orange.fr")[0] == 250
                assert submitted(bolt, "ann@gmail.com")[0] == 250  # the policy context says whose it is
                platform.hold({"customer": "bolt"}, reason="listed")
                assert submitted(bolt, "ann@gmail.com")[0] == 450
                platform.lift(held)
                assert submitted(acme, "ann@gmail.com")[0] == 250


def submitted(smtp, recipient):
    smtp.ehlo()
    smtp.mail("b@acme.example")
    code, text = smtp.rcpt(recipient)
    smtp.rset()
    return code, text.decode()
