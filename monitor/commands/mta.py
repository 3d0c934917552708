"""`vigie mta powermta`: what is in force as commands of PowerMTA, printed or run."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import click

from monitor.commands.failing import Failure
from monitor.commands.stored import config_option, configured_and_stored, utc_now
from monitor.config.mta import PowerMta
from monitor.mta import powermta as pmta
from monitor.restrictions.follow import GateIndex

_CURSOR = ("mta/powermta", "in force")


@click.group()
def mta() -> None:
    """MTAs that stay as they are."""


@mta.command()
@click.option("--run", "really", is_flag=True, help="Run the commands; without it they are only printed.")
@click.option("--again", is_flag=True, help="All that is in force, not only what changed since the last --run.")
@config_option
def powermta(config_file: Path, *, really: bool, again: bool) -> None:
    """Print (or run) the pmta commands that put in force what is held and slowed now, and lift what no longer is."""
    with configured_and_stored(config_file) as (config, store):
        settings, now, gate = config.mta.powermta or PowerMta(command=("pmta",)), utc_now(), GateIndex()
        index = gate.refresh(store, now, everything=True)
        wanted = pmta.plan(index.restrictions, settings, gate.providers, now)
        before = [tuple(command) for command in (store.cursor(*_CURSOR) or {}).get("commands", ())]
        steps = pmta.difference(wanted.commands, before)
        if again:
            steps = [*(step for step in steps if step not in wanted.commands), *wanted.commands]
        for row in wanted.unspoken:
            click.echo(f"not for PowerMTA: {row.id}: {row.why}", err=True)
        in_force = list(before)
        for step in steps:
            click.echo(shlex.join([*settings.command, *step]))
            if really:
                try:
                    pmta.run(settings.command, step)
                except (OSError, subprocess.SubprocessError) as error:
                    raise Failure(3, f"{shlex.join(step)}: {getattr(error, 'stderr', None) or error}".strip()) from None
                in_force = [*in_force, step] if step in wanted.commands else [each for each in in_force if pmta.lift_of(each) != step]
                store.put_cursor(*_CURSOR, {"commands": [list(each) for each in dict.fromkeys(in_force)]}, now)
        if not steps:
            click.echo("nothing changed", err=True)
