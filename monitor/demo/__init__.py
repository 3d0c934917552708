"""`vigie demo`: the real service on SQLite against a loopback world that goes wrong, and recovers."""

from __future__ import annotations

import random
import socket
import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import httpx

from monitor.access.keys import make_key
from monitor.app import Application
from monitor.config.load import load_config
from monitor.demo import files
from monitor.demo.servers.dns import DnsblServer
from monitor.demo.servers.imap import ImapServer
from monitor.demo.show import Show
from monitor.demo.story import TICK_SECONDS, ZONES, Story
from monitor.demo.world import Sender, Web

READY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Wishes:
    """`seconds` None: until stopped. `port` None: 8080, or a free one where that is taken."""

    seconds: float | None
    seed: int
    port: int | None
    show: Show


def play(wishes: Wishes, stop: threading.Event) -> None:
    """Start world and service, let the story run, stop both. Raises AddressError when `port` is taken."""
    dice = random.Random(wishes.seed)  # noqa: S311 - a story, not a secret
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vigie-demo-")))
        dns = DnsblServer({zone: {} for zone in ZONES.values()}, ttl_seconds=1, negative_ttl_seconds=1)
        imap = ImapServer("fbl", "demo-password")
        web = Web(lambda said: wishes.show.emit(_notification(said)))
        for server in (dns, imap, web):
            stack.callback(server.close)
        listen = f"127.0.0.1:{wishes.port or _free_port()}"
        path = files.write(folder, listen=listen, dns=dns.start(), imap=imap.start(), web=web.start())
        application = Application(load_config(path, {}), on_taken=wishes.show.taken)
        stack.callback(application.close)
        application.prepare()
        key = _gate_key(application)
        sender = Sender(f"http://{listen}", key, dice, imap.deliver, wishes.show.emit)
        story = Story(dns, sender, dice, wishes.show.say)
        _run(application, story, wishes, stop, stack)


def _run(application: Application, story: Story, wishes: Wishes, stop: threading.Event, stack: ExitStack) -> None:
    ready, failed = threading.Event(), list[BaseException]()
    over = threading.Event()

    def serve() -> None:
        try:
            application.serve(over, on_ready=ready.set)
        except BaseException as error:  # noqa: BLE001 - told in the main thread below
            failed.append(error)
            ready.set()

    threads = [
        threading.Thread(target=serve, name="demo-serve"),
        threading.Thread(target=wishes.show.follow, args=(application.store, over), name="demo-show"),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        stack.callback(thread.join)
    stack.callback(over.set)
    if not ready.wait(READY_SECONDS):
        raise TimeoutError(f"the service did not answer within {READY_SECONDS:.0f} s")
    if failed:
        raise failed[0]
    wishes.show.say(f"look at {story.sender.url}/ (configuration: {application.config.path}); Ctrl-C ends the demo")
    application.start()
    _tell_story(story, wishes, stop)


def _tell_story(story: Story, wishes: Wishes, stop: threading.Event) -> None:
    began, number = monotonic(), 0
    with httpx.Client(timeout=10) as client:
        while not stop.is_set():
            elapsed = monotonic() - began
            if wishes.seconds is not None and elapsed >= wishes.seconds:
                return
            story.tick(number)
            story.sender.tick(client, datetime.now(UTC))
            number += 1
            stop.wait(max(began + number * TICK_SECONDS - monotonic(), 0))


def _gate_key(application: Application) -> str:
    row, key = make_key("demo sender", ("gate", "events"), None, datetime.now(UTC))
    with application.store.session() as session:
        session.add(row)
    return key


def _notification(said: Mapping[str, Any]) -> dict[str, Any]:
    return {"event": "notification", "receiver": "on-call", "title": said["title"], "body": said["message"],
            "key": said.get("key"), "severity": said.get("severity"), "kind": said.get("event")}


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


__all__ = ["Show", "Wishes", "play"]
