"""`vigie db`: the schema, what is thrown away, and how large it all is."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from monitor.commands.failing import Failure, configured
from monitor.commands.printing import json_option, print_json
from monitor.commands.stored import config_option, stored, utc_now
from monitor.facts import Retention
from monitor.facts.wire import Database, Pruned, Schema
from monitor.intake.consequences import configured_store
from monitor.wire import Wire


@click.group()
def db() -> None:
    """Schema, retention and size of the database."""


@db.command()
@config_option
@json_option
def migrate(config_file: Path, *, as_json: bool) -> None:
    """Bring the schema up to date; changes nothing where it is."""
    with stored(config_file) as store:
        info = store.info()
        _show(Schema.model_validate(info), as_json=as_json)


@db.command()
@config_option
@json_option
def prune(config_file: Path, *, as_json: bool) -> None:
    """Throw away now what is older than the configuration keeps; prints rows gone by table."""
    with configured(config_file) as config:
        try:
            keep = Retention(**dict(config.engine.retention))
        except ValueError as error:
            raise Failure(2, f"{config_file}: engine.{error}") from None
    with stored(config_file) as store:
        _show(Pruned.model_validate(store.prune(utc_now(), keep)), as_json=as_json)


@db.command()
@config_option
@json_option
def info(config_file: Path, *, as_json: bool) -> None:
    """Engine, schema revision (and the one this program wants), bytes, and a few counts. Changes nothing."""
    with (
        configured(config_file) as config,
        closing(configured_store(config.engine)) as store,
    ):
        _show(Database.model_validate(store.info()), as_json=as_json)


def _show(shown: Wire, *, as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    for name, value in shown:
        click.echo(f"{name:<20} {'none' if value is None else value}")
