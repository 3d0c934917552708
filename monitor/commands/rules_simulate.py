"""`vigie rules simulate`: rules tried on facts of a file, without a service."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

import click

from collectors.providers import ProviderTable, shipped
from monitor.commands.failing import Failure
from monitor.commands.printing import json_line, json_option
from monitor.config.load import read_rules
from monitor.config.quantities import parse_duration
from monitor.config.yaml_file import ConfigError
from monitor.gate import StreamKind
from monitor.inventory.file import load_inventory
from monitor.inventory.providers import provider_table
from monitor.judging.simulate import Simulation
from monitor.judging.simulated_facts import read_line
from monitor.rules.load import SHIPPED, check_rules
from monitor.rules.model import Rule

_LONGEST_LINE = 64 * 1024
_SHOWN_ERRORS = 10
_PROGRESS_EVERY = 100_000


class Duration(click.ParamType[timedelta]):
    """A span of a second or longer, such as 10m."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        try:
            duration = parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if duration < timedelta(seconds=1):
            self.fail("at least 1s is wanted", param, ctx)
        return duration


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--rules", "rule_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Rules to try (default: those shipped).")
@click.option("--inventory", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Says which streams are transactional, and your own providers.")
@click.option("--step", type=Duration(), default="10m", show_default=True, help="Longest time between two looks.")
@json_option
def simulate(file: BinaryIO, rule_file: Path | None, inventory: Path | None, step: timedelta, *, as_json: bool) -> None:
    """What the rules would have made of the facts in FILE (- is standard input), in the order they became known."""
    table, transactional, chosen = _set_up(rule_file, inventory)
    simulation = Simulation(chosen, step, transactional)
    changes: Counter[str] = Counter()
    refused = 0
    for number, text in enumerate(_lines(file), 1):
        try:
            line = read_line(text, table) if text.strip() else None
        except ValueError as error:
            refused += 1
            if refused <= _SHOWN_ERRORS:
                click.echo(f"line {number}: {error}", err=True)
            continue
        if line is not None:
            _print(simulation.take(line), changes, as_json=as_json)
        if number % _PROGRESS_EVERY == 0:
            click.echo(f"{number:,} lines, {sum(changes.values()):,} changes", err=True)
    _print(simulation.end(), changes, as_json=as_json)
    if not as_json:
        click.echo(", ".join(f"{count:,} {what}" for what, count in sorted(changes.items())) or "nothing would have fired")
    if refused:
        raise Failure(2, f"{refused:,} lines could not be read and were left out; correct them and run it again")


def _set_up(rule_file: Path | None, inventory: Path | None) -> tuple[ProviderTable, set[tuple[str, str]], tuple[Rule, ...]]:
    try:
        chosen = check_rules(read_rules(rule_file or SHIPPED))
        if inventory is None:
            return shipped(), set(), chosen
        items = load_inventory(inventory)
    except ConfigError as error:
        raise Failure(2, str(error)) from None
    transactional = {
        (stream.customer, stream.name) for stream in items.streams.values() if stream.kind is StreamKind.TRANSACTIONAL
    }
    return provider_table(items.providers.values()), transactional, chosen


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Line by line as they come: whoever writes to a pipe is answered before the next line."""
    return itertools.takewhile(bool, (file.readline(_LONGEST_LINE) for _ in itertools.count()))


def _print(events: Iterable[dict[str, Any]], changes: Counter[str], *, as_json: bool) -> None:
    """Each line goes out at once, so that whoever plays the world can act on it."""
    output = sys.stdout.buffer
    for event in events:
        if event["event"] != "judged":
            changes[f"{event['event']}s {event.get('state') or ('ended' if event['lifted'] else 'put on')}"] += 1
        output.write(json_line(event) if as_json else _words(event).encode() + b"\n")
        output.flush()


def _words(event: dict[str, Any]) -> str:
    where = ", ".join(f"{name} {value}" for name, value in event.get("scope", {}).items())
    if event["event"] == "incident":
        return f"{event['at']}  {event['state']:10} {event['rule']}: {where}: {event['summary']}"
    if event["event"] == "suspension":
        until = f" until {event['until']}" if event["until"] else ""
        done = "ended" if event["lifted"] else f"{event['effect']}{until}"
        return f"{event['at']}  {done:10} {where} ({event['id']}, {event['rule']})"
    return f"{event['at']}  judged"
