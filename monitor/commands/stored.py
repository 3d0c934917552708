"""What the commands that read or change the database share: the option, the store, who acts, and when."""

from __future__ import annotations

import functools
import getpass
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from sqlmodel import Session

from collectors.instants import checked
from monitor.commands.failing import Failure, configured
from monitor.commands.printing import print_json
from monitor.config.load import Config
from monitor.config.quantities import parse_duration, parse_share
from monitor.database.paging import USUAL, Page, Paged, PlaceError
from monitor.facts import Store
from monitor.intake.consequences import configured_store
from monitor.wire import Wire

Row = TypeVar("Row")

config_option = click.option(
    "--config", "config_file", type=click.Path(path_type=Path, dir_okay=False), default=Path("vigie.yaml"),
    envvar="VIGIE_CONFIG", show_default=True, help="The configuration that names the database.",
)


@contextmanager
def stored(config_file: Path) -> Iterator[Store]:
    """The store the configuration names, its schema up to date."""
    with configured_and_stored(config_file) as (_, store):
        yield store


@contextmanager
def configured_and_stored(config_file: Path) -> Iterator[tuple[Config, Store]]:
    """The configuration, and the store it names, its schema up to date."""
    with configured(config_file) as config, closing(configured_store(config.engine)) as store:
        store.migrate()
        yield config, store


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


class SharePercent(click.ParamType[float]):
    """`5%` or 0.05."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return parse_share(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


SHARE = SharePercent()


def paging_options(command: Callable[..., None]) -> Callable[..., None]:
    """`--limit` and `--after`, which the command is given as `page`."""

    @functools.wraps(command)
    def paged(*arguments: Any, limit: int, after: str | None, **options: Any) -> None:
        try:
            command(*arguments, page=Page(limit, after), **options)
        except PlaceError as error:
            raise Failure(2, f"--{error}") from None

    after = click.option("--after", metavar="PLACE", help="Go on after a page; it says where on standard error.")
    return click.option("--limit", type=click.IntRange(1, 100_000), default=USUAL, show_default=True)(after(paged))


def print_page(page: Paged[Row], wire: type[Wire], line: Callable[[Row], str], *, as_json: bool, none: str) -> None:
    """A page of rows as JSON or as lines; where to go on, or that there is nothing, goes to standard error."""
    for row in page.rows:
        if as_json:
            print_json(wire.from_row(row))
        else:
            click.echo(line(row))
    if page.next is not None:
        click.echo(f"more: --after {page.next}", err=True)
    if not page.rows:
        click.echo(none, err=True)
