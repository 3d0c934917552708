"""`vigie apply`: bring the stored inventory to what a file says, and show the difference."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import click
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from monitor.commands.printing import print_json
from monitor.config.load import load_config
from monitor.config.yaml_file import ConfigError
from monitor.facts import Store
from monitor.intake.consequences import configured_store
from monitor.inventory.difference import Difference, InventoryError, planned
from monitor.inventory.faults import notes
from monitor.inventory.file import load_inventory
from monitor.inventory.items import Inventory
from monitor.inventory.rows import apply_difference, read_inventory
from monitor.inventory.wire import Applied, AppliedCounts


@click.command("apply")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--config", "config_file", type=click.Path(path_type=Path), default="vigie.yaml",
              envvar="VIGIE_CONFIG", show_default=True, help="The configuration that names the database.")
@click.option("--dry-run", is_flag=True, help="Show the difference and change nothing.")
@click.option("--remove", is_flag=True, help="Remove even more than a fifth of customers, IPs or domains.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line per change, then one with the counts.")
def apply(file: Path, config_file: Path, *, dry_run: bool, remove: bool, as_json: bool) -> None:
    """Bring the stored inventory to what FILE says; sections FILE leaves out stay as they are."""
    try:
        config = load_config(config_file, os.environ)
        wanted = load_inventory(file)
    except ConfigError as error:
        _stop(str(error), 2)
    for note in notes(wanted):
        click.echo(f"note: {note}", err=True)
    try:
        with closing(configured_store(config.engine)) as store:
            change = _looked_at(store, wanted, remove) if dry_run else _applied(store, wanted, remove)
    except DBAPIError as error:
        reason = str(error.orig).splitlines()[0]
        _stop(f"the database cannot be used: {reason} — is it up, and engine.url right?", 3)
    except InventoryError as error:
        _stop("\n".join(f"{file}: {reason}" for reason in error.reasons), 2)
    _show(change, dry_run=dry_run, as_json=as_json)


def _looked_at(store: Store, wanted: Inventory, remove: bool) -> Difference:
    with store.reading_session() as session:
        empty = not inspect(session.connection()).has_table("customer")  # a database never migrated
        return planned(Inventory() if empty else read_inventory(session), wanted, remove=remove)


def _applied(store: Store, wanted: Inventory, remove: bool) -> Difference:
    store.migrate()
    with store.session() as session:
        change = planned(read_inventory(session), wanted, remove=remove)
        apply_difference(session, change)
    return change


def _show(change: Difference, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        applied = Applied.shown(change, dry_run=dry_run)
        for each in applied.changes:
            print_json(each)
        print_json(AppliedCounts(applied=not dry_run, counts=applied.counts))
        return
    if not change:
        click.echo("nothing to do: the stored inventory is what the file says")
        return
    counts = "; ".join(f"{kind} +{count['added']} ~{count['changed']} -{count['removed']}"
                       for kind, count in change.counts().items())
    end = "; nothing was changed (--dry-run)" if dry_run else ""
    click.echo("\n".join([*map(str, change.changes), counts + end]))


def _stop(text: str, code: int) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(code)
