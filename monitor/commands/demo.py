"""`vigie demo`: see within a minute what Vigie sees, says and holds."""

from __future__ import annotations

import logging
import signal
import threading

import click

from monitor.commands.failing import Failure


@click.command()
@click.option("--seconds", type=click.FloatRange(min=1), help="End by itself after so many seconds of the story.")
@click.option("--seed", type=int, default=1, show_default=True, help="Which story is played.")
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True,
              help="Seconds of the story in one second, where the machine can.")
@click.option("--port", type=click.IntRange(1, 65535), help="Where the console answers; default 8080, or a free port.")
@click.option("--address", default="127.0.0.1", show_default=True, help="Where the console listens; it asks nobody for a key.")
@click.option("--database", default="sqlite:///vigie.sqlite", help="An empty PostgreSQL (postgresql://…) instead of a file, such as for Grafana.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line per thing that happens.")
def demo(seconds: float | None, seed: int, speed: float, port: int | None, *, address: str, database: str, as_json: bool) -> None:
    """The real service against a loopback world that goes wrong on purpose, and recovers."""
    try:
        from monitor.demo import AddressError, Show, StoryClock, Wishes, play  # noqa: PLC0415 - the extra `demo` may be missing
    except ModuleNotFoundError as error:
        raise Failure(2, f"{error.name} is missing: the demo needs it; install vigie[demo]") from None
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    clock = StoryClock()
    show = Show(clock, as_json=as_json)
    try:
        play(Wishes(seconds, seed, port, show, clock, speed, address, database), stop)
    except AddressError as error:
        raise Failure(3, f"{error}; choose another with --port") from None
    counts = ", ".join(f"{count} {what}" for what, count in sorted(show.counts.items()) if what != "world")
    click.echo(f"the demo has ended: {counts}", err=True)
