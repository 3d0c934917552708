"""`vigie db`: the schema, what is thrown away, and how large it all is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import click

from monitor.commands.failing import Failure, configured
from monitor.commands.printing import json_option, print_json
from monitor.commands.stored import config_option, stored, utc_now
from monitor.database.backup import BackupError
from monitor.database.freed import Freed
from monitor.database.sizes import TableSize
from monitor.facts import Store
from monitor.facts.wire import BackupFile, Database, KindFreed, Pruned, Schema, TableBytes
from monitor.intake.consequences import configured_store
from monitor.wire import Wire

_AHEAD = timedelta(days=30)


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
            keep = config.engine.retention
        except ValueError as error:
            raise Failure(2, f"{config_file}: engine.{error}") from None
    with stored(config_file) as store:
        _show(Pruned.model_validate(store.prune(utc_now(), keep)), as_json=as_json)


@db.command()
@config_option
@json_option
def info(config_file: Path, *, as_json: bool) -> None:
    """Schema revision (and the one this program wants); rows and bytes by table, and what retention frees next."""
    with configured(config_file) as config, closing(configured_store(config.engine)) as store:
        about = store.info()
        tables = store.sizes(config.engine.retention) if about["revision"] else []
        frees = store.freed(utc_now() + _AHEAD, config.engine.retention) if about["revision"] == about["newest_revision"] else []
        shown = Database.model_validate({
            **about, "tables": [each._asdict() for each in tables], "frees": [_with_bytes(each, tables) for each in frees],
        })
    if as_json:
        print_json(shown)
        return
    _show(shown, as_json=False)
    for each in shown.tables:
        part = f"  frees {(each.frees_bytes or 0) / 1e6:.1f} MB on {each.frees_at:%Y-%m-%d}" if each.frees_at else ""
        click.echo(_line(each.table, each) + part)
    if shown.frees:
        click.echo("removed by retention within 30 days:")
    for kind in shown.frees:
        click.echo(_line(kind.kind, kind))


def _line(name: str, size: TableBytes | KindFreed) -> str:
    rows = f"{'about ' if size.estimated else ''}{size.rows}"
    megabytes = "?" if size.bytes is None else f"{size.bytes / 1e6:.1f}"
    return f"{name:<20} {rows:>16} rows {megabytes:>12} MB"


def _with_bytes(freed: Freed, tables: Sequence[TableSize]) -> dict[str, object]:
    """Rows of a table are taken to be alike."""
    sizes = {each.table: each for each in tables if each.bytes is not None}
    size = sizes.get(freed.table)
    share = min(freed.rows / size.rows, 1) if size and size.rows else 0
    return {**freed._asdict(), "bytes": None if size is None else round((size.bytes or 0) * share)}


@db.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@json_option
def backup(file: Path, config_file: Path, *, as_json: bool) -> None:
    """Write the whole database to FILE, consistent while everything goes on."""
    with _backups(config_file) as store:
        _show(BackupFile(file=str(file), bytes=store.backup(file)), as_json=as_json)


@db.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Replace a database that is not empty.")
@config_option
@json_option
def restore(file: Path, config_file: Path, *, force: bool, as_json: bool) -> None:
    """Make the database what the backup in FILE says; stop Vigie first."""
    with _backups(config_file) as store:
        store.restore(file, force=force)
        _show(Schema.model_validate(store.info()), as_json=as_json)


@contextmanager
def _backups(config_file: Path) -> Iterator[Store]:
    with configured(config_file) as config, closing(configured_store(config.engine)) as store:
        try:
            yield store
        except BackupError as error:
            raise Failure(2, str(error)) from None


def _show(shown: Wire, *, as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    for name, value in shown:
        if name not in {"tables", "frees"}:
            click.echo(f"{name:<20} {'none' if value is None else value}")
