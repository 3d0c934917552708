"""`vigie keys`: who may call the API. A key is shown once, when it is made."""

from __future__ import annotations

from pathlib import Path

import click

from monitor.access.keys import KeyScope, all_keys, make_key, revoke_key, rotate_key
from monitor.access.wire import Key, NewKey
from monitor.commands.failing import Failure, configured
from monitor.commands.printing import json_option, print_json
from monitor.commands.stored import changing, config_option, stored, utc_now
from monitor.config.quantities import parse_duration
from monitor.inventory.file import configured_inventory
from monitor.inventory.rows import has_customer


@click.group()
def keys() -> None:
    """Make, list and revoke keys of the API."""


@keys.command()
@click.option("--name", required=True, help="Whose key it is; stands in the history of what it changes.")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(list(map(str, KeyScope))), help="Repeat for more.")
@click.option("--customer", help="Bind the key to one customer.")
@config_option
@json_option
def create(name: str, scopes: tuple[str, ...], customer: str | None, config_file: Path, *, as_json: bool) -> None:
    """Make a key; it is printed on standard output and cannot be shown again."""
    try:
        row, key = make_key(name, scopes, customer, utc_now())
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with stored(config_file) as store, store.session() as session:
        if customer is not None and not (has_customer(session, customer) or _is_configured(config_file, customer)):
            raise Failure(2, f"the inventory has no customer {customer}; vigie apply brings it in")
        session.add(row)
    if as_json:
        print_json(NewKey(id=row.id, name=name, scopes=row.scopes, customer=customer, key=key))
        return
    click.echo(f"key {row.id} for {name}: {', '.join(row.scopes)}; keep it now, it is not shown again", err=True)
    click.echo(key)


def _is_configured(config_file: Path, customer: str) -> bool:
    """Whether the inventory that the next start applies has this customer."""
    with configured(config_file) as config:
        wanted = configured_inventory(config) if config.inventory else None
    return wanted is not None and customer in wanted.of("customers")


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option("--overlap", default="24h", show_default=True, help="How long the old key goes on, such as 2h.")
@config_option
@json_option
def rotate(key_id: str, overlap: str, config_file: Path, *, as_json: bool) -> None:
    """Make a key that may the same, printed once; the old one ends after the overlap."""
    try:
        span = parse_duration(overlap)
    except ValueError as error:
        raise click.UsageError(f"--overlap: {error}") from None
    with changing(config_file) as session:
        row, key = rotate_key(session, key_id, span, utc_now())
    if as_json:
        print_json(NewKey(id=row.id, name=row.name, scopes=row.scopes, customer=row.customer, key=key))
        return
    click.echo(f"key {row.id} for {row.name} takes the place of {key_id}, which ends in {overlap}; keep it now", err=True)
    click.echo(key)


@keys.command("list")
@config_option
@json_option
def list_keys(config_file: Path, *, as_json: bool) -> None:
    """All keys, revoked ones too, without their secrets."""
    with stored(config_file) as store, store.reading_session() as session:
        rows = all_keys(session)
    for row in rows:
        if as_json:
            print_json(Key.from_row(row))
            continue
        bound = f", only {row.customer}" if row.customer else ""
        word = "ends" if row.revoked_at and row.revoked_at > utc_now() else "revoked"
        end = f", {word} {row.revoked_at:%Y-%m-%d %H:%M UTC}" if row.revoked_at else ""
        click.echo(f"{row.id}  {row.name}: {', '.join(row.scopes)}{bound}, made {row.created_at:%Y-%m-%d %H:%M UTC}{end}")


@keys.command()
@click.argument("key_id", metavar="ID")
@config_option
def revoke(key_id: str, config_file: Path) -> None:
    """End a key; API processes follow within a second."""
    with stored(config_file) as store, store.session() as session:
        try:
            revoke_key(session, key_id, utc_now())
        except LookupError as error:
            raise Failure(2, f"{error}; vigie keys list shows them") from None
    click.echo(f"key {key_id} is revoked", err=True)
