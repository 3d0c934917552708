"""`vigie notify test`: does a message arrive, before one has to?"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from monitor.commands.failing import Failure
from monitor.commands.stored import config_option
from monitor.config.load import ConfigError, load_config
from monitor.config.severity import Severity
from monitor.config.validation import did_you_mean
from monitor.notify.message import Event
from monitor.notify.receivers import configured_receivers
from monitor.notify.sender import Outgoing


@click.group()
def notify() -> None:
    """Messages to people."""


@notify.command("test")
@click.argument("name")
@config_option
def test(name: str, config_file: Path) -> None:
    """Send one message to the receiver NAME, at once and past the outbox; exit 3 where it was not delivered."""
    try:
        config = load_config(config_file, os.environ)
        _, chats = configured_receivers(config)
    except ConfigError as error:
        raise Failure(2, str(error)) from None
    if name not in chats:
        raise Failure(2, f"{config_file}: no receiver '{name}' — {did_you_mean(name, chats)}")
    now = datetime.now(UTC)
    title = "Vigie: a test message"
    body = f"Sent by `vigie notify test {name}` at {now:%Y-%m-%d %H:%M:%S UTC}. Nothing is wrong; nothing is to be done."
    key = f"test:{now:%Y%m%dT%H%M%SZ}:{name}"
    failure = chats[name].send(Outgoing(key, Event.RESOLVED, Severity.INFO, title, body, now)).error
    if failure is not None:
        raise Failure(3, f"not delivered: {failure}; check the receiver's url and that this machine reaches it")
    click.echo(f"delivered to {name}")
