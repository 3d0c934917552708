"""`vigie dashboards`: the boards of Grafana, built, checked, published, and who may read what they show."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.commands.failing import Failure
from monitor.commands.stored import config_option, stored, utc_now
from monitor.database.views import RoleError, allow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dashboards.check import Answer
    from monitor.facts import Store


@click.group()
def dashboards() -> None:
    """Grafana's boards: build, check and publish them."""


@contextmanager
def _extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("grafana_foundation_sdk"):
            raise
        raise Failure(2, "building boards needs the extra grafana, in an environment of its own: make grafana, then .venv/grafana/bin/vigie") from None


@dashboards.command()
@click.option("-o", "--out", type=click.Path(path_type=Path, file_okay=False), help="Another folder than dashboards/generated.")
def build(out: Path | None) -> None:
    """Write the boards as JSON files; says which changed."""
    with _extra():
        from dashboards.build import GENERATED, write  # noqa: PLC0415 - needs the extra

        for path in write(out or GENERATED):
            click.echo(f"{path.name} {'written' if path.exists() else 'removed'}")


@dashboards.command()
@click.option("--config", "config_file", type=click.Path(path_type=Path, dir_okay=False), help="Run every query on the PostgreSQL this names, too.")
def check(config_file: Path | None) -> None:
    """Whether the files are what the builders make, and nothing is wrong with them; exit 1 with each fault."""
    with _extra():
        from dashboards.build import GENERATED, drifted  # noqa: PLC0415 - needs the extra
        from dashboards.check import faults  # noqa: PLC0415

        documents = _documents(GENERATED)
        problems = [f"{name} is not what the builders make: vigie dashboards build" for name in drifted()]
        problems += [fault for document in documents.values() for fault in faults(document)]
    if config_file is not None:
        with stored(config_file) as store:
            problems += _asked(store, documents)
    for fault in problems:
        click.echo(fault)
    if problems:
        raise SystemExit(1)
    click.echo(f"{len(documents)} boards, no fault", err=True)


def _documents(folder: Path) -> dict[str, dict[str, Any]]:
    import orjson  # noqa: PLC0415

    return {path.name: orjson.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))}


def _asked(store: Store, documents: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    from dashboards.check import Answer, run  # noqa: PLC0415 - needs the extra
    from dashboards.expand import Period  # noqa: PLC0415

    if store.engine.dialect.name != "postgresql":
        raise Failure(2, "the boards read PostgreSQL; engine.url names another engine")

    with store.reading() as connection:

        def database(sql: str) -> Answer:
            result = connection.exec_driver_sql(sql.replace("%", "%%"))
            return Answer(list(result.keys()), result.fetchall())

        now = utc_now()
        for document in documents.values():
            for _, _, wrong in run(document, database, Period(now - timedelta(days=7), now)):
                yield from wrong


@dashboards.command()
@click.option("--url", required=True, envvar="GRAFANA_URL", help="Grafana's address, with its path if it has one.")
@click.option("--token-file", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="A file with a service account's token; else GRAFANA_TOKEN.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--overwrite", is_flag=True, help="Also boards that somebody saved in Grafana meanwhile.")
def publish(url: str, token_file: Path | None, *, dry_run: bool, overwrite: bool) -> None:
    """Bring the boards into a running Grafana; what is the same there stays untouched."""
    token = token_file.read_text().strip() if token_file else os.environ.get("GRAFANA_TOKEN", "")
    if not token:
        raise click.UsageError("a token is needed: --token-file, or GRAFANA_TOKEN")
    from dashboards.publish import Grafana, PublishError  # noqa: PLC0415
    from dashboards.publish import publish as bring  # noqa: PLC0415

    folder = Path(__file__).parents[2] / "dashboards" / "generated"
    documents = {path.name: path.read_text() for path in sorted(folder.glob("*.json"))}
    try:
        grafana = Grafana(url, token)
        click.echo(f"Grafana {grafana.check()} at {url}", err=True)
        for done in bring(grafana, documents, dry_run=dry_run, overwrite=overwrite):
            click.echo(f"{done.uid} {'would be ' if dry_run else ''}{done.action}")
    except PublishError as error:
        raise Failure(3, str(error)) from None


@dashboards.command()
@click.argument("role")
@config_option
def grant(role: str, config_file: Path) -> None:
    """Let a PostgreSQL role read the views the boards use, and nothing else, now and after every upgrade."""
    with stored(config_file) as store:
        if store.engine.dialect.name != "postgresql":
            raise Failure(2, "the boards read PostgreSQL; engine.url names another engine")
        try:
            with store.engine.begin() as connection:
                allow(connection, role)
        except RoleError as error:
            raise Failure(2, str(error)) from None
    click.echo(f"{role} may read the views of the dashboards", err=True)
