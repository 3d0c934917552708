"""What the commands that read or change the database share: the option, the store, who acts, and when."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson
from sqlmodel import Session, SQLModel

from collectors.instants import checked
from monitor.commands.failing import Failure, configured
from monitor.config.quantities import parse_duration
from monitor.facts import Store
from monitor.intake.consequences import configured_store

config_option = click.option(
    "--config", "config_file", type=click.Path(path_type=Path, dir_okay=False), default=Path("vigie.yaml"),
    envvar="VIGIE_CONFIG", show_default=True, help="The configuration that names the database.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON lines on standard output.")


@contextmanager
def stored(config_file: Path) -> Iterator[Store]:
    """The store the configuration names, its schema up to date."""
    with configured(config_file) as config, closing(configured_store(config.engine)) as store:
        store.migrate()
        yield store


@contextmanager
def changing(config_file: Path) -> Iterator[Session]:
    """A session to change in; what the change refuses ends the command with exit code 2."""
    with stored(config_file) as store:
        try:
            with store.session() as session:
                yield session
        except (LookupError, ValueError) as error:
            raise Failure(2, str(error.args[0] if error.args else error)) from None


def utc_now() -> datetime:
    return datetime.now(UTC)


def actor() -> str:
    """Who acts: the user of this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user in a container
        return "operator"


class Moment(click.ParamType[datetime]):
    """An instant (ISO 8601; UTC where no zone is said), or a span such as 2h counted from now."""

    name = "time"

    def __init__(self, sign: int) -> None:
        self._sign = sign  # +1: a span ahead, -1: a span ago

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return checked(utc_now() + self._sign * parse_duration(value))
        except (ValueError, OverflowError):
            pass
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"'{value}' is neither a time such as 2026-01-02T03:04Z nor a span such as 2h", param, ctx)
        try:
            return checked(at.replace(tzinfo=at.tzinfo or UTC))
        except ValueError as error:
            self.fail(f"'{value}': {error}", param, ctx)


AHEAD, AGO = Moment(1), Moment(-1)


def print_json(row: Any) -> None:
    click.echo(orjson.dumps(row, option=orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS))


def print_row(row: SQLModel) -> None:
    """A row in the order its fields are declared in."""
    print_json({name: getattr(row, name) for name in type(row).model_fields})
