"""The plugin for Haraka, run by a real one."""

import smtplib
from contextlib import ExitStack

import pytest

from monitor.facts import Store
from monitor.restrictions import suspensions
from tests.monitor.api.running import NOW, Vigie, running
from tests.places import ROOT
from tests.servers.haraka import Haraka
from tests.servers.smtp import SmtpServer
from tests.waiting import PATIENCE_SECONDS, eventually

PLUGIN = ROOT / "monitor" / "sender" / "examples" / "haraka" / "vigie.js"


@pytest.fixture
def vigie(sqlite_store: Store):
    with running(sqlite_store) as started:
        yield started


def key_of(vigie: Vigie) -> str:
    return vigie.client("gate").headers["authorization"].removeprefix("Bearer ")


def send(haraka: Haraka, customer: str, to: str) -> None:
    with smtplib.SMTP("127.0.0.1", haraka.port, timeout=PATIENCE_SECONDS) as smtp:
        smtp.sendmail(f"news@{customer}.example", [to], f"Subject: {customer}\r\nFrom: news@{customer}.example\r\n\r\nHello\r\n")


def test_the_plugin_is_forty_lines():
    code = [line for line in PLUGIN.read_text("utf-8").splitlines() if line.strip() and not line.startswith("//")]
    assert len(code) <= 40


@pytest.mark.real("haraka")
def test_haraka_delivers_what_may_be_sent_and_keeps_what_is_held(vigie: Vigie, tmp_path):
    with vigie.store.session() as session:
        held = suspensions.hold(session, scope={"customer": "bolt", "provider": "gmail"}, effect="hold", actor="dana", reason="a test", now=NOW)
    vigie.gate.refresh(vigie.store, NOW)
    with ExitStack() as stack:
        mx = stack.enter_context(SmtpServer())
        haraka = stack.enter_context(Haraka(tmp_path, PLUGIN, f"url = {vigie.url}\nkey = {key_of(vigie)}\n", mx.port))
        for customer, to in (("bolt", "ann@gmail.com"), ("acme", "ann@gmail.com"), ("bolt", "ann@orange.fr")):
            send(haraka, customer, to)
        eventually(lambda: len(mx.mails) == 2 and vigie.gate.decided["hold"] >= 1)
        assert sorted((mail["Subject"], to) for [to], mail in mx.mails) == [("acme", "ann@gmail.com"), ("bolt", "ann@orange.fr")]
        eventually(lambda: "waits: a test" in haraka.log.read_text())
        assert list((tmp_path / "queue").iterdir()), "it is kept"
        with vigie.store.session() as session:
            suspensions.lift(session, held.id, actor="dana", reason="a test", now=NOW)
        vigie.gate.refresh(vigie.store, NOW)
        send(haraka, "bolt", "bea@gmail.com")
        eventually(lambda: len(mx.mails) == 3)


@pytest.mark.real("haraka")
@pytest.mark.parametrize(("away", "word"), [("send", "mail is sent"), ("hold", "mail is held")])
def test_without_vigie_haraka_does_as_it_was_set(tmp_path, away, word):
    with SmtpServer() as mx, Haraka(tmp_path, PLUGIN, f"url = http://127.0.0.1:9\nkey = x\naway = {away}\n", mx.port) as haraka:
        send(haraka, "acme", "ann@gmail.com")
        eventually(lambda: word in haraka.log.read_text())
        if away == "send":
            eventually(lambda: mx.mails)
        else:
            assert list((tmp_path / "queue").iterdir())
            assert mx.mails == []
