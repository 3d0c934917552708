"""How fast is a mailbox drained, the whole way: real Dovecot over IMAP → facts in SQLite → mails moved.

`python -m tests.bench.drain [MAILS]` prints one JSON line: mails a second through the mailbox, through `vigie mail
replay`'s road from files, and through the parser alone, over the same mails in the same run. `ratio` is the road's
speed ÷ the parser's. Mails are feedback reports, bounces and DMARC reports of our own cases, each with its own id.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from collectors.mail import parse
from collectors.report_mail.bounces import Bounces, BouncesSettings
from monitor.app import Application
from monitor.commands.mail_replay import Replay
from monitor.config.load import load_config
from monitor.database.tables import Customer, ReportMailbox, SendingDomain
from monitor.facts import Store
from monitor.intake.consequences import open_store
from monitor.intake.context import RunContext
from monitor.intake.run import Runner
from tests.places import MAIL_CASES
from tests.servers.dovecot import Dovecot

MAILS = 10_000
CASES = (("arf-as-in-rfc5965", b"<r-1@"), ("bounce-qmail", b"<q1@"), ("dsn-two-recipients-xtext", b"Message-ID: <"))
SECRETS = {"box": SecretStr(Dovecot.password)}


def mails(count: int) -> Iterator[bytes]:
    """Each mail once: its id is its own, and that of the mail it is about."""
    cases = [((MAIL_CASES / name / "message.eml").read_bytes(), mark) for name, mark in CASES]
    for number in range(count):
        raw, mark = cases[number % len(cases)]
        yield raw.replace(mark, mark + b"n%d." % number, 1).replace(b"july-4711@", b"n%d@" % number)


def prepared(store: Store, server: Dovecot) -> None:
    with store.session() as session:
        session.add(Customer(id="acme", name="Acme"))
        session.flush()
        session.add(SendingDomain(domain="acme.example.net", customer="acme"))
        session.add(ReportMailbox(name="box", purpose="bounces", folder="INBOX", host="127.0.0.1", port=server.port,
                                  tls="none", username=server.user, secret="box", done_folder="Done"))


def drained(count: int, folder: Path) -> tuple[float, float]:
    """Seconds on the clock, and of the processor in this process, for a mailbox of so many mails."""
    with Dovecot() as server, contextlib.closing(open_store(f"sqlite:///{folder / 'drain.sqlite'}")) as store:
        store.migrate()
        server.new_user()
        for raw in mails(count):
            server.deliver(raw)
        prepared(store, server)
        now = datetime.now(UTC) + timedelta(seconds=10)
        collector = Bounces(BouncesSettings(max_mails=count))
        context = RunContext(store, "bounces", SECRETS, threading.Event(), now)
        runner = Runner(store, lambda batches: store.intake(batches, now), lambda: now)
        began, busy = time.perf_counter(), time.process_time()
        tally = runner.run(collector, context)
        took, worked = time.perf_counter() - began, time.process_time() - busy
        if tally.outcome != "ok" or server.count("Done") != count:
            raise RuntimeError(f"not drained: {tally}, {server.count('Done')} of {count} moved")
        return took, worked


def replayed(count: int, folder: Path) -> float:
    """Seconds of the processor for an archive of so many mails."""
    (folder / "archive").mkdir()
    for number, raw in enumerate(mails(count)):
        (folder / "archive" / f"{number:06}.eml").write_bytes(raw)
    (folder / "vigie.yaml").write_text(json.dumps({"engine": {"url": f"sqlite:///{folder / 'replay.sqlite'}"}}))
    application = Application(load_config(folder / "vigie.yaml", {}))
    try:
        application.prepare()
        busy = time.process_time()
        with contextlib.redirect_stderr(None):
            Replay(application, "bounces").run((folder / "archive",))
        return time.process_time() - busy
    finally:
        application.close()


def parsed(count: int) -> float:
    """Seconds of the processor for the parser alone."""
    made = list(mails(count))
    busy = time.process_time()
    for raw in made:
        parse(raw).to_json()
    return time.process_time() - busy


def run(count: int = MAILS) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        parser = parsed(count)
        took, worked = drained(count, Path(name))
        replay = replayed(count, Path(name))
    figures = {"parser_per_second": count / parser, "drain_per_second": count / took,
               "drain_per_cpu_second": count / worked, "replay_per_cpu_second": count / replay}
    return {
        "bench": "drain",
        "figures": {name: round(value) for name, value in figures.items()},
        "ratio": {"drain": round(parser / worked, 2), "replay": round(parser / replay, 2)},
    }


if __name__ == "__main__":
    print(json.dumps(run(*map(int, sys.argv[1:2]))))
