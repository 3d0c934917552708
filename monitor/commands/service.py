"""`vigie run`, `serve`, `collect`: the service, whole or in parts."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import click

from monitor.api.serve import AddressError
from monitor.app import Application
from monitor.commands.failing import Failure, configured
from monitor.commands.printing import print_json
from monitor.facts.runs import Outcome
from monitor.facts.wire import Observation, RunEnd, RunLine
from monitor.jobs.quiet_log import OncePerMinute

log = logging.getLogger("vigie")

CONFIG = click.option(
    "--config", "path", type=click.Path(path_type=Path, dir_okay=False), default=Path("vigie.yaml"), show_default=True
)


@click.command()
@CONFIG
def run(path: Path) -> None:
    """Everything in one process: collect, judge, notify, answer."""
    _live(path, collect=True, answer=True)


@click.command()
@CONFIG
def serve(path: Path) -> None:
    """Only the API and the console."""
    _live(path, collect=False, answer=True)


@click.command()
@click.argument("name", required=False)
@click.option("--once", is_flag=True, help="One run of NAME, then end.")
@click.option("--json", "as_json", is_flag=True, help="Print the run and its observations as JSON lines.")
@CONFIG
def collect(name: str | None, once: bool, as_json: bool, path: Path) -> None:
    """Scheduler, collectors, judging and notifying; or, with --once, one run of one collector."""
    if not once:
        if name is not None:
            raise click.UsageError("NAME goes with --once")
        _live(path, collect=True, answer=False)
        return
    if name is None:
        raise click.UsageError("--once needs the NAME of a collector")
    with prepared_application(path) as application:
        if name not in application.collectors:
            known = ", ".join(sorted(application.collectors)) or "none"
            raise Failure(2, f"{path}: no collector '{name}' is configured and enabled; there are: {known}")
        tally = application.run_collector(name, keep=True)
    if as_json:
        for seen in tally.seen:
            subject = {key: value for key, value in seen.subject._asdict().items() if value is not None}
            print_json(Observation(measure=seen.measure, subject=subject, at=seen.at, value=seen.value,
                                   reason=seen.reason, detail=dict(seen.detail)))
        end = RunEnd(collector=name, outcome=tally.outcome, reason=tally.reason, text=tally.text, **tally.counts())
        print_json(RunLine(run=end))
    else:
        counts = ", ".join(f"{count} {what}" for what, count in tally.counts().items())
        click.echo(f"{name}: {tally.outcome}{f' ({tally.text})' if tally.text else ''}; {counts}")
    if tally.outcome is Outcome.FAILED:
        sys.exit(3)


@contextmanager
def prepared_application(path: Path) -> Iterator[Application]:
    """A prepared application, closed at the end; what is wrong with its configuration ends the command."""
    _log_to_stderr()
    with configured(path) as config:
        application = Application(config)
        try:
            application.prepare()
            yield application
        finally:
            application.close()


def _log_to_stderr() -> None:
    """Instants in UTC; what keeps going wrong once a minute; everything with `vigie --verbose`."""
    handler = logging.StreamHandler()
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(OncePerMinute())
    verbose = click.get_current_context().find_root().params.get("verbose", False)
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])
    if not verbose:
        for chatty in ("apscheduler", "httpx", "alembic", "_granian"):
            logging.getLogger(chatty).setLevel(logging.WARNING)


def _live(path: Path, *, collect: bool, answer: bool) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with prepared_application(path) as application:
        try:
            if answer:
                application.check_address()
            _say_who_starts(application, collect=collect, answer=answer)
            if collect:
                application.start()
            if answer:
                application.serve(stop)
            else:
                stop.wait()
        except AddressError as error:
            raise Failure(3, str(error)) from None


def _say_who_starts(application: Application, *, collect: bool, answer: bool) -> None:
    config = application.config
    engine = "PostgreSQL" if config.engine.url.get_secret_value().startswith("postgresql") else "SQLite"
    parts = [f"vigie {metadata.version('vigie')} starts: {engine}"]
    if collect:
        parts.append(f"collectors {', '.join(application.collectors) or 'none'}")
        parts.append(f"{len(application.rules)} rules, {len(config.receivers)} receivers")
    if answer:
        parts.append(f"answering on {config.api.listen}")
        parts += [f"{name} on {listen}" for name, listen in application.mta.addresses.items()]
    log.info("%s", "; ".join(parts))
