"""`vigie gate simulate`: what would have been held of recorded mail, by restrictions in force or by ones that are tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import click

from collectors.delivery import counting, generic
from collectors.observation import Observation
from collectors.providers import ProviderTable
from monitor.commands.events import LATER, LINES_AT_ONCE, READERS
from monitor.commands.failing import Failure
from monitor.commands.printing import json_option, print_json
from monitor.commands.record_files import chunks_of
from monitor.commands.stored import config_option, configured_and_stored, utc_now
from monitor.config.load import Config
from monitor.config.mta import KumoMta
from monitor.facts import Store
from monitor.gate import DIMENSIONS, Effect, Index, Restriction, build_index
from monitor.intake.records import PREFIX, Attribution, trusted
from monitor.inventory.known import read_names
from monitor.inventory.names import canonical
from monitor.inventory.owners import read_owners
from monitor.notify.message import where
from monitor.restrictions.follow import GateIndex
from monitor.restrictions.simulated import Simulated, Simulation, WouldRestrict

Counts = tuple[Sequence[Observation], Sequence[tuple[int, str]]]  # and why lines could not be read, by number
Read = Callable[[Sequence[bytes], int], Counts]
_SHOWN_ERRORS = 10


@click.command()
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--format", "shape", required=True, type=click.Choice(("generic", *READERS, *LATER)))
@click.option("--hold", "holds", multiple=True, metavar="SCOPE", help="Try a hold too: customer=acme,provider=gmail. Several times.")
@click.option("--only-tried", is_flag=True, help="Without the restrictions in force.")
@config_option
@json_option
def simulate(file: BinaryIO, shape: str, holds: tuple[str, ...], config_file: Path, *, only_tried: bool, as_json: bool) -> None:
    """What would have been held of the mail recorded in FILE (- is standard input)? Nothing is stored or held."""
    if shape in LATER:
        raise Failure(2, f"not supported yet: {', '.join(LATER)}; supported: generic, {', '.join(READERS)}")
    with configured_and_stored(config_file) as (config, store):
        now, gate = utc_now(), GateIndex()
        index = gate.refresh(store, now, everything=True)
        read = _reader(shape, config, store, gate.providers, now)
    tried = [_hold(number, text, gate.providers) for number, text in enumerate(holds, 1)]
    simulation = Simulation(_with(index, tried, now, only_tried=only_tried), now, frozenset(row.id for row in tried))
    rejected = _count(file, read, simulation)
    _show(simulation.restrictions(), simulation.total(rejected), as_json=as_json)
    if rejected:
        raise Failure(2, f"{rejected:,} lines could not be read and were left out; correct them and run it again")


def _hold(number: int, text: str, providers: ProviderTable) -> Restriction:
    """Raises UsageError."""
    scope = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name not in DIMENSIONS or not value:
            raise click.UsageError(f"--hold {text}: write it NAME=VALUE,… of {', '.join(DIMENSIONS)}")
        try:
            scope[name] = canonical(name, value, providers)
        except ValueError as error:
            raise click.UsageError(f"--hold {text}: {error}") from None
    return Restriction(f"tried-{number}", scope, Effect.HOLD, "tried")


def _with(index: Index, tried: Sequence[Restriction], now: datetime, *, only_tried: bool) -> Index:
    kept = () if only_tried else index.restrictions
    return build_index(
        [*kept, *tried], version=index.version, built_at=now, pools=index.pools, kinds=index.kinds, providers=index.providers
    )


def _reader(shape: str, config: Config, store: Store, providers: ProviderTable, now: datetime) -> Read:
    """Reads lines of this format, of which the first has a number, as they would be taken in."""
    if shape not in READERS:
        def generic_lines(lines: Sequence[bytes], first: int) -> Counts:
            decoded = generic.decode(lines, key="simulated", now=now, providers=providers, first_line=first)
            return decoded.batch.observations, [(error.line, error.error) for error in decoded.errors]

        return generic_lines
    settings = config.mta.kumomta or KumoMta()
    with store.reading_session() as session:
        whose = Attribution(settings, read_names(session), read_owners(session))

    def records(lines: Sequence[bytes], first: int) -> Counts:
        counted = counting.counted(
            counting.lines_of(lines, READERS[shape], PREFIX + shape, first), source=PREFIX + shape, key="simulated", now=now,
            providers=providers, whose=whose, trust=trusted(settings),
        )  # fmt: skip
        return counted.batch.observations, counted.unreadable

    return records


def _count(file: BinaryIO, read: Read, simulation: Simulation) -> int:
    """Take every line; returns how many could not be read."""
    first, rejected = 1, 0
    for lines in chunks_of(file, LINES_AT_ONCE):
        observations, errors = read(lines, first)
        simulation.take(observations)
        for line, error in errors[: max(0, _SHOWN_ERRORS - rejected)]:
            click.echo(f"line {line}: {error}", err=True)
        rejected += len(errors)
        first += len(lines)
    return rejected


def _show(rows: Sequence[WouldRestrict], total: Simulated, *, as_json: bool) -> None:
    if as_json:
        for row in (*rows, total):
            print_json(row)
        return
    for row in rows:
        alone = f", {row.alone:,} by this alone" if row.alone != row.messages else ""
        click.echo(f"{row.messages:>14,}  {row.effect} on {where(row.scope)} ({row.id}): {row.text}{alone}")
    click.echo(f"of {total.messages:,} messages {total.hold:,} would have been held, {total.slow:,} slowed, {total.send:,} sent")
