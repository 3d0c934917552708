"""`vigie gate simulate`: what would have been held of recorded mail, by restrictions in force or by ones that are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import click

from collectors.delivery import counting, generic
from collectors.delivery.formats import FORMATS, Numbered, one_a_line
from collectors.observation import Observation
from collectors.providers import ProviderTable
from monitor.commands.events import LINES_AT_ONCE
from monitor.commands.failing import Failure
from monitor.commands.printing import json_option, print_json
from monitor.commands.record_files import records_in, written_at
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
Read = Callable[[Sequence[Numbered]], Counts]
_SHOWN_ERRORS = 10


@click.command()
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--format", "shape", required=True, type=click.Choice(("generic", *FORMATS)))
@click.option("--hold", "holds", multiple=True, metavar="SCOPE", help="Try a hold too: customer=acme,provider=gmail. Several times.")
@click.option("--only-tried", is_flag=True, help="Without the restrictions in force.")
@config_option
@json_option
def simulate(file: BinaryIO, shape: str, holds: tuple[str, ...], config_file: Path, *, only_tried: bool, as_json: bool) -> None:
    """What would have been held of the mail recorded in FILE (- is standard input)? Nothing is stored or held."""
    with configured_and_stored(config_file) as (config, store):
        now, gate = utc_now(), GateIndex()
        index = gate.refresh(store, now, everything=True)
        read = _reader(shape, config, store, gate.providers, written_at(file))
    tried = [_hold(number, text, gate.providers) for number, text in enumerate(holds, 1)]
    simulation = Simulation(_with(index, tried, now, only_tried=only_tried), now, frozenset(row.id for row in tried))
    records = FORMATS[shape].records if shape in FORMATS else one_a_line
    rejected = _count(records_in(file, records, LINES_AT_ONCE), read, simulation)
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


def _reader(shape: str, config: Config, store: Store, providers: ProviderTable, written: datetime) -> Read:
    """Reads records of this format as they would be taken in."""
    now = utc_now()
    if shape not in FORMATS:
        def generic_lines(lines: Sequence[Numbered]) -> Counts:
            decoded = generic.decode(
                [line for _, line in lines], key="simulated", now=now, providers=providers, first_line=lines[0][0]
            )  # fmt: skip
            return decoded.batch.observations, [(error.line, error.error) for error in decoded.errors]

        return generic_lines
    settings = config.mta.kumomta or KumoMta()
    with store.reading_session() as session:
        whose = Attribution(settings, read_names(session), read_owners(session))
    reading = FORMATS[shape].opened()
    reading.begin(written)

    def records(lines: Sequence[Numbered]) -> Counts:
        counted = counting.counted(
            counting.records_of(lines, reading, PREFIX + shape), source=PREFIX + shape, key="simulated", now=now,
            providers=providers, whose=whose, trust=trusted(settings),
        )  # fmt: skip
        return counted.batch.observations, counted.unreadable

    return records


def _count(chunks: Iterable[Sequence[Numbered]], read: Read, simulation: Simulation) -> int:
    """Take every record; returns how many could not be read."""
    rejected = 0
    for records in chunks:
        observations, errors = read(records)
        simulation.take(observations)
        for line, error in errors[: max(0, _SHOWN_ERRORS - rejected)]:
            click.echo(f"line {line}: {error}", err=True)
        rejected += len(errors)
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
