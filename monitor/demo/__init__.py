"""`vigie demo`: the real service on SQLite against a loopback world that goes wrong, and recovers."""

from __future__ import annotations

import random
import socket
import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import httpx

from monitor.access.keys import KeyScope, make_key
from monitor.api.serve import AddressError
from monitor.app import Application
from monitor.config.load import load_config
from monitor.demo import files, history, warming
from monitor.demo.servers.dns import DnsblServer
from monitor.demo.servers.imap import ImapServer
from monitor.demo.show import Show
from monitor.demo.story import TICK_SECONDS, ZONES, Story, StoryClock
from monitor.demo.world import Sender, Web

READY_SECONDS = 60.0
PATIENCE_SECONDS = 60.0  # for one answer of the service; a busy machine is not a dead one


@dataclass(frozen=True, slots=True)
class Wishes:
    """`seconds` of the story; None: until stopped. `port` None: 8080, or a free one where that is taken.
    `address`: where the console listens; its servers of the world stay on loopback. `database`: an empty PostgreSQL instead of a file.

    `speed`: how many seconds of the story go by in one of ours, at most; a busy machine takes longer.
    """

    seconds: float | None
    seed: int
    port: int | None
    show: Show
    clock: StoryClock
    speed: float = 1.0
    address: str = "127.0.0.1"
    database: str = "sqlite:///vigie.sqlite"


def play(wishes: Wishes, stop: threading.Event) -> None:
    """Start world and service, let the story run, stop both. Raises AddressError when `port` is taken."""
    dice = random.Random(wishes.seed)  # noqa: S311 - a story, not a secret
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vigie-demo-")))
        dns = DnsblServer({zone: {} for zone in ZONES.values()}, ttl_seconds=1, negative_ttl_seconds=1)
        imap = ImapServer("fbl", "demo-password")
        web = Web(lambda message: wishes.show.emit(_notification(message)))
        for server in (dns, imap, web):
            stack.callback(server.close)
        port = wishes.port or _free_port()
        path = files.write(folder, database=wishes.database, listen=f"{wishes.address}:{port}", dns=dns.start(), imap=imap.start(), web=web.start())
        application = Application(load_config(path, {}), clock=wishes.clock, on_new=wishes.show.taken)
        stack.callback(application.close)
        application.prepare()
        history.write(application.store, wishes.clock(), wishes.seed)
        warming.write(application.store, wishes.clock())
        application.declare()
        key = _gate_key(application)
        sender = Sender(f"http://127.0.0.1:{port}", key, dice, imap.deliver, wishes.show.emit, warm=warming.send)
        story = Story(dns, sender, dice, wishes.show.say)
        _run(application, story, wishes, stop, stack)


def _run(application: Application, story: Story, wishes: Wishes, stop: threading.Event, stack: ExitStack) -> None:
    ready, failed = threading.Event(), list[BaseException]()
    over = threading.Event()

    def serve() -> None:
        try:
            application.serve(over, on_ready=ready.set)
        except BaseException as error:  # noqa: BLE001 - raised in the main thread below
            failed.append(error)
            ready.set()

    thread = threading.Thread(target=serve, name="demo-serve")
    thread.start()
    stack.callback(thread.join)
    stack.callback(over.set)
    if not ready.wait(READY_SECONDS):
        raise TimeoutError(f"the service did not answer within {READY_SECONDS:.0f} s")
    if failed:
        raise failed[0]
    wishes.show.say(f"look at {story.sender.url}/ (configuration: {application.config.path}); Ctrl-C ends the demo")
    wishes.show.watch(application.store)
    _run_story(application, story, wishes, stop)


def _run_story(application: Application, story: Story, wishes: Wishes, stop: threading.Event) -> None:
    """Tick by tick: the world acts, mail is sent, then the service does all that follows; only then time goes on.

    So what happens depends on the seed alone, however busy the machine is; a slow one only takes longer.
    """
    began, number = monotonic(), 0
    with httpx.Client(timeout=PATIENCE_SECONDS) as client:
        while not stop.is_set() and (wishes.seconds is None or number * TICK_SECONDS < wishes.seconds):
            story.tick(number)
            story.sender.tick(client, wishes.clock())
            application.turn()
            wishes.show.catch_up()
            number += 1
            wishes.clock.move(TICK_SECONDS)
            stop.wait(max(began + number * TICK_SECONDS / wishes.speed - monotonic(), 0))


def _gate_key(application: Application) -> str:
    row, key = make_key("demo sender", (KeyScope.GATE, KeyScope.EVENTS), None, application.clock())
    with application.store.session() as session:
        session.add(row)
    return key


def _notification(message: Mapping[str, Any]) -> dict[str, Any]:
    return {"event": "notification", "receiver": "on-call", "title": message["title"], "body": message["message"],
            "key": message.get("key"), "severity": message.get("severity"), "kind": message.get("event")}


def _free_port() -> int:
    for port in (8080, 0):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(trial.getsockname()[1])
    raise OSError("no free port on loopback")


__all__ = ["AddressError", "Show", "StoryClock", "Wishes", "play"]
